"use strict";
// What all pages share: data scripts, elements without markup, the state in the address, the theme.
const mrbench = (() => {
  const root = document.documentElement.dataset.root || "";
  const waiting = new Map();

  // Data come as scripts that call give(name, value): a page from file:// may not fetch.
  function give(name, value) {
    const entry = waiting.get(name);
    if (entry) entry.resolve(value);
  }

  function load(name) {
    let entry = waiting.get(name);
    if (!entry) {
      entry = {};
      entry.promise = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
      waiting.set(name, entry);
      const script = document.createElement("script");
      script.src = `${root}data/${name}.js`;
      script.addEventListener("error", () => entry.reject(new Error(`cannot load data/${name}.js`)));
      document.head.append(script);
    }
    return entry.promise;
  }

  // Text only ever becomes a text node; attributes are named by the pages' own code.
  function el(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  const state = {
    all() {
      const text = location.hash.slice(1);
      return text.includes("=") ? new URLSearchParams(text) : new URLSearchParams();
    },
    get(name) {
      return this.all().get(name);
    },
    set(changes) {
      const now = this.all();
      for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === "" || value === undefined) now.delete(name);
        else now.set(name, value);
      }
      history.replaceState(null, "", `${location.pathname}${location.search}${now.size ? `#${now}` : ""}`);
    },
  };

  function select(label, options, value, act) {
    const made = el("select", { on: { change: () => act(made.value) } });
    for (const [key, text] of options) made.append(el("option", { value: key, selected: String(key) === String(value) }, text));
    return el("label", {}, label, made);
  }

  const themes = ["auto", "light", "dark"];
  function theme(name) {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  }
  function remembered() {
    try {
      const name = localStorage.getItem("mrbench-theme");
      return themes.includes(name) ? name : "auto";
    } catch {
      return "auto";
    }
  }
  function themeButton() {
    let now = remembered();
    const button = el("button", { type: "button" });
    const show = () => {
      theme(now);
      button.textContent = `Theme: ${now}`;
    };
    button.addEventListener("click", () => {
      now = themes[(themes.indexOf(now) + 1) % themes.length];
      try {
        localStorage.setItem("mrbench-theme", now);
      } catch {
        // A page without storage forgets it.
      }
      show();
    });
    show();
    document.querySelector(".bar").append(button);
  }
  document.addEventListener("DOMContentLoaded", themeButton);
  return { give, load, el, state, select, root };
})();
