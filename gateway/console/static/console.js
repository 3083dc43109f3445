// What all pages of the console need: times in the time zone of the browser, polling while the page is visible, and notices.
"use strict";

// <time datetime> in the browser's zone. The text from the server is UTC, for browsers without scripts.
const inZone = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    time.title = time.textContent;
    time.textContent = inZone.format(new Date(time.dateTime));
  }
}

// Parts of a page with hx-trigger="tick from:body" ask again every second, as long as the page can be seen.
const TICK_MS = 1000;
setInterval(() => {
  if (!document.hidden) document.body.dispatchEvent(new CustomEvent("tick"));
}, TICK_MS);

// Says that the page asks by itself, and not its reader: an open page keeps no session alive.
const POLL = { "x-locus-poll": "true" };
document.addEventListener("htmx:config:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.sourceEvent?.type === "tick") Object.assign(ctx.request.headers, POLL);
});

function notify(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.classList.add("shown");
  clearTimeout(notify.timer);
  notify.timer = setTimeout(() => notice.classList.remove("shown"), 6000);
}

// A request to the gateway itself, with the rights of the session. Throws an Error with the gateway's message; its `param` is
// the field that is wrong.
async function callApi(method, path, body) {
  const answer = await fetch("/ui/api" + path, {
    method,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401) location.assign("/ui/login?next=" + encodeURIComponent(location.pathname + location.search));
  const text = await answer.text();
  const value = text ? JSON.parse(text) : null;
  if (!answer.ok) throw Object.assign(new Error(value?.error?.message ?? `The gateway answered ${answer.status}.`), { param: value?.error?.param ?? null });
  return value;
}

// <button data-copy="ID">: copies the text of the element with that id.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
  notify("Copied.");
});

document.addEventListener("DOMContentLoaded", () => localTimes(document));
// On a phone the names of the pages scroll: the one that is open can be seen.
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
// New parts, and parts that a morph has set back to what the server sent.
new MutationObserver((changes) => {
  for (const { type, target, addedNodes } of changes) {
    if (type === "attributes" && target.matches("time:not([title])")) localTimes(target.parentElement);
    for (const node of addedNodes) if (node.nodeType === Node.ELEMENT_NODE) localTimes(node.parentElement ?? node);
  }
}).observe(document.documentElement, { childList: true, subtree: true, attributeFilter: ["title"] });
