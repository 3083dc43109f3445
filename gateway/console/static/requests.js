// The list of requests grows while it can be seen: each second it asks for the rows that have come since.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const live = document.getElementById("live");
  const table = document.getElementById("requests");
  if (!live || !table) return;
  const body = table.tBodies[0];
  const MOST = 200; // rows
  let last = Number(table.dataset.last);
  let asking = false;

  // In its place by time: a request that took long is written after later ones.
  function insert(row) {
    const next = [...body.rows].find((other) => Number(other.dataset.time) <= Number(row.dataset.time));
    body.insertBefore(row, next ?? null);
  }

  async function ask() {
    const rows = [...body.rows];
    const full = table.dataset.full === "yes";
    const asked = new URL(table.dataset.address, location.href);
    asked.searchParams.set("new", last);
    asked.searchParams.set("shown", rows.map((row) => row.dataset.id).filter((id) => Number(id) > last - 200).join(","));
    asked.searchParams.set("from", full && rows.length ? rows[rows.length - 1].dataset.time : 0);
    const answer = await fetch(asked, { headers: { "hx-request": "true", ...POLL } });
    if (answer.status === 401 || answer.headers.get("locus-more")) return location.reload();
    if (!answer.ok) return;
    last = Number(answer.headers.get("locus-last"));
    if (answer.status === 204) return;
    const found = document.createElement("tbody");
    found.innerHTML = await answer.text();
    for (const row of [...found.rows]) insert(row);
    document.getElementById("none").hidden = true;
    while (body.rows.length > MOST) {
      body.rows[body.rows.length - 1].remove();
      table.dataset.full = "yes";
    }
  }

  document.body.addEventListener("tick", async () => {
    if (asking || !live.checked) return;
    asking = true;
    try {
      await ask();
    } catch {
      // The gateway is away for a moment: the next second asks again.
    } finally {
      asking = false;
    }
  });
});
