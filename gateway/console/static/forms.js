// Forms whose fields the gateway checks: what is wrong with a field stands beside it, and what was typed stays.
"use strict";

// The place of a field that an error names, such as `budget[1].usd`; of what contains it where it has none of its own.
function placeOf(form, param) {
  const budget = /^budget\[(\d+)\](?:\.(\w+))?/.exec(param ?? "");
  if (budget) return form.querySelectorAll(".budget-row")[budget[1]]?.querySelector(`[data-part="${budget[2]}"]`) ?? form.querySelector('[data-field="budget"]');
  for (let name = param ?? ""; name; name = name.replace(/(^|[.[])[^.[]*$/, "")) {
    const found = form.querySelector(`[data-field="${CSS.escape(name)}"], [data-field^="${CSS.escape(name)}."]`);
    if (found) return found;
  }
  return null;
}

function clearProblems(form) {
  for (const text of form.querySelectorAll(".field-problem")) text.remove();
  for (const input of form.querySelectorAll("[aria-invalid]")) { input.removeAttribute("aria-invalid"); input.removeAttribute("aria-describedby"); }
  form.querySelector("[role=alert]").hidden = true;
}

function showProblem(form, error) {
  const field = placeOf(form, error.param);
  const input = field?.querySelector("input, select, textarea");
  if (!input) {
    const general = form.querySelector("[role=alert]");
    general.textContent = error.message;
    general.hidden = false;
    general.scrollIntoView({ block: "nearest" });
    return;
  }
  const text = Object.assign(document.createElement("span"), { className: "field-problem", id: "field-problem", textContent: error.message });
  text.setAttribute("role", "alert");
  field.append(text);
  input.setAttribute("aria-invalid", "true");
  input.setAttribute("aria-describedby", text.id);
  if (field.tagName === "DETAILS") field.open = true;
  input.focus();
}
