// The forms of replay, advice and savings become jobs of /admin/replay, which checks them.
"use strict";

const number = (text) => (text.trim() === "" || Number.isNaN(Number(text)) ? text.trim() : Number(text));

function askedBy(form) {
  const field = (name) => form.elements[name].value.trim();
  const asked = { kind: form.dataset.kind, since: field("since") || field("from"), until: field("since") ? null : field("until") || null };
  if (asked.kind !== "replay") return asked;
  asked.rows = number(field("rows"));
  if (field("rule") === "weights") asked.cost_weights = field("cost_weights").split(/[\s,;]+/).filter(Boolean).map(number);
  if (field("rule") === "policy") asked.policy = field("policy");
  asked.without = [...form.querySelectorAll("[name=without]:checked")].map((box) => box.value);
  asked.portfolio = field("portfolio") || null;
  return asked;
}

function show(form) {
  const rule = form.elements.rule?.value;
  for (const field of form.querySelectorAll("[data-rule]")) field.hidden = field.dataset.rule !== rule;
  for (const date of form.querySelectorAll(".date")) date.hidden = form.elements.since.value !== "";
}
document.addEventListener("change", (event) => event.target.form?.dataset.kind && show(event.target.form));
for (const form of document.querySelectorAll("form[data-kind]")) show(form); // what a browser has kept of a form

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.kind) return;
  event.preventDefault();
  clearProblems(form);
  const button = form.querySelector("button:not([type=button])"), words = button.textContent;
  button.disabled = true;
  button.textContent = "It starts …";
  try {
    location.assign(`/ui/replay/job?id=${(await callApi("POST", "/admin/replay", askedBy(form))).id}`);
  } catch (error) {
    showProblem(form, error);
  } finally {
    button.disabled = false;
    button.textContent = words;
  }
});
