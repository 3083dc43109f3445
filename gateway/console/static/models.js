// The page of one model: its buttons call the operator's routes, and say what has happened.
"use strict";

const name = document.getElementById("model").dataset.name;
const path = "/admin/models/" + name.split("/").map(encodeURIComponent).join("/");
const said = document.getElementById("said");

function say(text, good) {
  const line = document.createElement("p");
  line.className = good ? "done" : "problem";
  line.textContent = text;
  said.replaceChildren(line);
  said.focus({ preventScroll: true }); // the button that was pressed may be gone
  said.scrollIntoView({ block: "nearest" });
}

async function change(method, address, body, words) {
  try {
    const result = await callApi(method, address, body);
    document.body.dispatchEvent(new CustomEvent("changed"));
    say(words(result), true);
  } catch (error) {
    say(error.message, false);
  }
}

const effects = {
  quarantined: "auto does not choose it, and it is no stand-in; requests that name it are still served.",
  live: "auto may choose it as any other model.",
  limited: "auto gives it a tenth of the requests at most, with caution.",
  shadow: "Its P(correct) is predicted and recorded; it is only served when named.",
};

document.getElementById("live").addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { state, version, deployment } = button.dataset, of = deployment === undefined ? {} : { deployment };
  const whom = deployment ?? name;
  if (state !== undefined) {
    const effect = deployment === undefined ? effects[state] : state === "quarantined" ? "No calls go to it." : "Calls go to it again.";
    change("POST", `${path}/state`, { state, ...of }, () => `${whom} is ${state} now. ${effect}`);
  } else if (version !== undefined) {
    change("POST", `${path}/rollback`, { version: Number(version), ...of }, () => version === "0" ? `${whom} uses what the model spaces say of it.` : `${whom} uses version ${version} now.`);
  } else if (button.dataset.stop !== undefined) {
    change("DELETE", `${path}/onboarding`, undefined, (job) => `The onboarding of ${name} is ${job.state}. A later one goes on where it stopped.`);
  }
});

document.getElementById("onboard")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const { probes, usd, again } = event.target.elements;
  const body = { probes: Number(probes.value), usd: Number(usd.value), again: again.checked };
  change("POST", `${path}/onboard`, body, () => `The onboarding of ${name} begins: at most ${body.probes} probes, for at most ${body.usd} USD.`);
});
