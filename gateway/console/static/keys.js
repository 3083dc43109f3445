// Keys and teams: forms become requests to /admin/keys and /admin/teams, which check them; a new key is shown once.
"use strict";

// Texts that are numbers are sent as numbers; others as they are, so that the gateway says what is wrong with them.
const value = (text) => (text.trim() === "" ? null : Number.isNaN(Number(text)) ? text.trim() : Number(text));
const words = (text) => text.split(",").map((part) => part.trim()).filter(Boolean);

function accessOf(form) {
  const field = (name) => form.elements[name]?.value ?? "";
  const chosen = (name) => [...form.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => box.value);
  const which = (name) => ({ all: null, none: [] })[field(`${name}-which`)] ?? (field(`${name}-which`) === "some" ? chosen(name) : null);
  const budgets = [...form.querySelectorAll(".budget-row")].map((row) => {
    const part = (name) => row.querySelector(`[name="${name}"]`).value;
    const numbers = { usd: value(part("usd")), warn: value(part("warn")), overshoot: value(part("overshoot")) };
    return Object.fromEntries(Object.entries({ per: part("per"), ...numbers }).filter(([, one]) => one !== null));
  });
  const near = { at: value(field("near_limit.at")), cost_weight: value(field("near_limit.cost_weight")) };
  const given = Object.fromEntries(Object.entries(near).filter(([, one]) => one !== null));
  const access = {
    models: which("models"), policies: which("policies"), budget: budgets, timezone: field("timezone").trim() || null,
    rpm: value(field("rpm")), tpm: value(field("tpm")), max_parallel_requests: value(field("max_parallel_requests")),
    expires: field("expires").trim() || null, tags: words(field("tags")), near_limit: Object.keys(given).length ? given : null,
  };
  if (form.elements.name) access.name = field("name").trim();
  if (form.elements.team) access.team = field("team") || null;
  return access;
}

// The key is in this document only, until its user leaves the page.
function showSecret(made) {
  const model = made.policies?.length === 0 ? made.models?.[0] ?? "MODEL" : "auto";
  document.getElementById("secret").textContent = made.key;
  document.getElementById("secret-shell").textContent = `export OPENAI_BASE_URL=${location.origin}/v1\nexport OPENAI_API_KEY=${made.key}`;
  document.getElementById("secret-python").textContent = [
    "from openai import OpenAI", "", "client = OpenAI()",
    `answer = client.chat.completions.create(model=${JSON.stringify(model)}, messages=[{"role": "user", "content": "Hello"}])`,
    "print(answer.choices[0].message.content)",
  ].join("\n");
  document.getElementById("secret-done").href = `/ui/keys/key?id=${encodeURIComponent(made.id)}`;
  const box = document.getElementById("secret-box");
  box.hidden = false;
  box.focus({ preventScroll: true });
  box.scrollIntoView();
}

const keyPath = (id) => `/admin/keys/${encodeURIComponent(id)}`;
const teamPath = (name) => `/admin/teams/${encodeURIComponent(name)}`;
const keyPage = (id) => `/ui/keys/key?id=${encodeURIComponent(id)}`;
const teamPage = (name) => `/ui/keys/team?name=${encodeURIComponent(name)}`;

async function save(form) {
  const { kind, changes } = form.dataset, fields = accessOf(form);
  if (kind === "team") {
    const team = changes === undefined ? await callApi("POST", "/admin/teams", dropNull(fields)) : await callApi("PATCH", teamPath(changes), fields);
    location.assign(teamPage(team.name));
  } else if (changes === undefined) {
    const made = await callApi("POST", "/admin/keys", dropNull(fields));
    form.hidden = true;
    document.querySelector("h1").textContent = `The key ${made.name} is made`;
    showSecret(made);
  } else {
    location.assign(keyPage((await callApi("PATCH", keyPath(changes), fields)).id));
  }
}
const dropNull = (fields) => Object.fromEntries(Object.entries(fields).filter(([, one]) => one !== null));

const ACTIONS = {
  async revoke(form) {
    await callApi("DELETE", keyPath(form.dataset.id));
    location.reload();
  },
  async rotate(form) {
    const made = await callApi("POST", `${keyPath(form.dataset.id)}/rotate`, { overlap: Number(form.elements.overlap.value) });
    form.closest("dialog").close();
    showSecret(made);
  },
  async "delete-team"(form) {
    await callApi("DELETE", teamPath(form.dataset.id));
    location.assign("/ui/keys");
  },
};

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const run = form.id === "access" ? save : ACTIONS[form.dataset.action];
  if (!run) return;
  event.preventDefault();
  const button = form.querySelector("button:not([type=button])");
  clearProblems(form);
  button.disabled = true;
  try {
    await run(form);
  } catch (error) {
    showProblem(form, error);
  } finally {
    button.disabled = false;
  }
});

document.addEventListener("click", (event) => {
  const { opens, closes, removes } = event.target.closest?.("button")?.dataset ?? {};
  if (opens) document.getElementById(opens).showModal();
  if (closes !== undefined) event.target.closest("dialog").close();
  if (removes !== undefined) {
    event.target.closest(".budget-row").remove();
    document.getElementById("add-budget").focus();
  }
  if (event.target.id === "add-budget") {
    const rows = document.getElementById("budgets");
    rows.append(document.getElementById("budget-row").content.cloneNode(true));
    rows.lastElementChild.querySelector("input").focus();
  }
});

document.addEventListener("change", (event) => {
  const chooser = event.target.closest(".chooser");
  if (chooser && event.target.tagName === "SELECT") chooser.querySelector(".picker").hidden = event.target.value !== "some";
});

const zones = document.getElementById("zones");
for (const zone of zones ? Intl.supportedValuesOf("timeZone") : []) zones.append(new Option(zone, zone));
