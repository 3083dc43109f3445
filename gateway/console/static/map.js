// The page of the map: loads the models, and shows who would answer the query that is typed.
"use strict";

const PAUSE_MS = 300; // after the last key
const CANDIDATES = 8; // of a query that are shown
const mapRoot = document.getElementById("map"), period = document.getElementById("period");
const query = document.getElementById("query"), policy = document.getElementById("policy"), answer = document.getElementById("answer"), additions = document.getElementById("additions");

async function load(address) {
  const response = await fetch(address);
  if (response.redirected) location.reload(); // to log in again
  if (!response.ok) throw new Error(`The gateway answered ${response.status}.`);
  return response.json();
}

async function showMap() {
  try {
    const data = await load(`/ui/map/models?period=${period.value}`);
    if (mapRoot.modelMap) mapRoot.modelMap.load(data);
    else new ModelMap(mapRoot, data, (name, other) => load(`/ui/map/model?${new URLSearchParams({ name, other, period: period.value })}`));
    showAdditions(data.additions);
  } catch (error) {
    notify(error.message);
  }
}

// The other models of the space that would add most to the portfolio; each leads to its place on the map.
function showAdditions(found) {
  const links = found.map(({ name, gain }) => {
    const link = make("button", { type: "button", class: "plain" }, `${name} +${(100 * gain).toFixed(1)}`);
    link.addEventListener("click", () => mapRoot.modelMap.choose(mapRoot.modelMap.byKey.get(keyOf(name, true))));
    return link;
  });
  additions.hidden = !found.length;
  additions.querySelector("span").replaceChildren(...links);
}

const usd = (value) => (value === null ? "price not known" : `${Number(value.toPrecision(2))} USD`);

function candidateRow(one, serving) {
  const badge = one.model === serving ? make("span", { class: "badge good" }, "answers") : one.eligible ? "" : make("span", { class: "badge" }, "not eligible");
  const p = one.p_correct === null ? "–" : `${(100 * one.p_correct).toFixed(0)} ± ${(100 * one.standard_error).toFixed(0)}%`;
  return make("tr", {}, make("th", { scope: "row" }, one.model, " ", badge), make("td", { class: "right" }, p), make("td", { class: "right" }, usd(one.price_usd)), make("td", { class: "text" }, one.why));
}

function showDecision(found) {
  const serving = found.serving, best = found.candidates.slice(0, CANDIDATES);
  const words = serving === null ? `${found.chosen} is chosen, but no model can be called now.` : serving === found.chosen ? `${serving} would answer.` : `${serving} would answer in place of ${found.chosen}: ${found.stand_in.reason}.`;
  const head = make("tr", {}, ...["Model", "P(correct)", "Expected price", "Why"].map((text, i) => make("th", { scope: "col", class: i === 1 || i === 2 ? "right" : "" }, text)));
  const table = make("table", {}, make("thead", {}, head), make("tbody", {}, ...best.map((one) => candidateRow(one, serving))));
  const why = [...found.why, found.familiarity === null ? null : `familiarity ${(100 * found.familiarity).toFixed(0)}%`].filter(Boolean).join("; ");
  const others = make("details", {}, make("summary", {}, `The first ${best.length} of ${found.candidates.length} candidates, and why`), make("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Candidates" }, table));
  others.open = answer.querySelector("details")?.open ?? false;
  answer.replaceChildren(make("p", {}, make("strong", {}, words), ` ${why}.`), others);
  const known = best.filter((one) => one.p_correct !== null);
  mapRoot.modelMap?.answer(new Map(known.map((one) => [keyOf(one.model, false), { p: one.p_correct, first: one.model === (serving ?? found.chosen) }])));
}

let asked = 0;
async function ask() {
  const text = query.value.trim(), mine = ++asked;
  if (!text) {
    answer.replaceChildren();
    mapRoot.modelMap?.answer(new Map());
    return;
  }
  try {
    const found = await callApi("POST", "/v1/route", { model: policy.value, messages: [{ role: "user", content: text }] });
    if (mine === asked) showDecision(found);
  } catch (error) {
    if (mine === asked) answer.replaceChildren(make("p", { class: "problem" }, error.message));
  }
}

let pause;
query.addEventListener("input", () => {
  clearTimeout(pause);
  pause = setTimeout(ask, PAUSE_MS);
});
policy.addEventListener("change", ask);
period.addEventListener("change", showMap);
showMap();
