// The turns of the request: a message that the form can show has a role, a text and images; any other one is edited as JSON.
"use strict";

const TURN_FIELDS = { system: [], developer: [], user: [], assistant: [], tool: ["tool_call_id"] };

// The text and the image parts of a message; null if the form cannot show all of it.
function shownParts(message) {
  const fields = TURN_FIELDS[message.role];
  if (!fields || Object.keys(message).some((name) => name !== "role" && name !== "content" && !fields.includes(name))) return null;
  if (fields.some((name) => typeof message[name] !== "string")) return null;
  if (typeof message.content === "string") return { text: message.content, images: [] };
  if (!Array.isArray(message.content) || message.role === "tool") return null;
  const [first, ...rest] = message.content;
  const text = first?.type === "text" && typeof first.text === "string" && Object.keys(first).length === 2;
  const images = text ? rest : message.content;
  const shown = images.length && images.every((part) => part?.type === "image_url" && typeof part.image_url?.url === "string");
  return shown ? { text: text ? first.text : "", images } : null;
}

class Turn {
  constructor(message, changed) {
    this.element = document.getElementById("turn-template").content.firstElementChild.cloneNode(true);
    this.changed = changed;
    this.images = [];
    this.find = (selector) => this.element.querySelector(selector);
    const parts = shownParts(message);
    this.raw = parts === null;
    this.find(".text").value = this.raw ? JSON.stringify(message, null, 2) : parts.text;
    if (this.raw) {
      this.find(".role").replaceWith(Object.assign(document.createElement("strong"), { textContent: "Message as JSON" }));
      this.find(".attach").remove();
      this.find(".text").rows = 8;
    } else {
      this.find(".role").value = message.role;
      this.find(".call-id").value = message.tool_call_id ?? "";
      for (const part of parts.images) this.addImage(part);
      this.find(".role").addEventListener("change", () => this.fit());
      this.fit();
      this.find(".file").addEventListener("change", (event) => {
        for (const file of event.target.files) this.attach(file);
        event.target.value = "";
      });
      this.find(".text").addEventListener("paste", (event) => {
        const images = [...event.clipboardData.files].filter((file) => file.type.startsWith("image/"));
        if (images.length) event.preventDefault();
        for (const file of images) this.attach(file);
      });
    }
  }

  fit() {
    const role = this.find(".role").value;
    this.find(".call-id").hidden = role !== "tool";
    this.find(".attach").hidden = role !== "user";
  }

  attach(file) {
    const reader = new FileReader();
    reader.onload = () => {
      this.addImage({ type: "image_url", image_url: { url: reader.result } });
      this.changed();
    };
    reader.onerror = () => notify(`The image ${file.name} cannot be read.`);
    reader.readAsDataURL(file);
  }

  addImage(part) {
    const item = document.createElement("li");
    const url = part.image_url.url;
    if (url.startsWith("data:image/")) item.append(Object.assign(new Image(), { src: url, alt: "attached image" }));
    else item.append(Object.assign(document.createElement("code"), { textContent: url }));
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "plain small", textContent: "Remove the image" });
    remove.addEventListener("click", () => {
      this.images = this.images.filter((one) => one !== part);
      item.remove();
      this.changed();
    });
    item.append(remove);
    this.images.push(part);
    this.find(".images").append(item);
  }

  message(number) {
    const text = this.find(".text").value;
    if (this.raw) return jsonOf(`Turn ${number}`, text);
    const message = { role: this.find(".role").value };
    if (message.role === "tool") message.tool_call_id = this.find(".call-id").value;
    const images = message.role === "user" ? this.images : [];
    message.content = images.length ? [...(text ? [{ type: "text", text }] : []), ...images] : text;
    return message;
  }
}

class Turns {
  constructor(list, changed) {
    this.list = list;
    this.changed = changed;
    this.turns = [];
  }

  add(message) {
    const turn = new Turn(message, this.changed);
    turn.find(".remove").addEventListener("click", () => {
      this.turns.splice(this.turns.indexOf(turn), 1);
      turn.element.remove();
      this.name();
      this.changed();
      (this.turns.at(-1)?.find(".text") ?? document.getElementById("add-turn")).focus();
    });
    this.turns.push(turn);
    this.list.append(turn.element);
    this.name();
    return turn;
  }

  // Controls of several turns have names of their own, for readers of the screen.
  name() {
    this.turns.forEach((turn, i) => {
      turn.find(".role")?.setAttribute("aria-label", `Role of turn ${i + 1}`);
      turn.find(".text").setAttribute("aria-label", `Turn ${i + 1}`);
      turn.find(".remove").setAttribute("aria-label", `Remove turn ${i + 1}`);
      turn.find(".file")?.setAttribute("aria-label", `Add an image to turn ${i + 1}`);
    });
  }

  get messages() {
    return this.turns.map((turn, i) => turn.message(i + 1));
  }

  set messages(messages) {
    this.turns = [];
    this.list.replaceChildren();
    for (const message of messages) this.add(message);
  }
}
