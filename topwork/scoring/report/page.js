// The page reads without this script. It opens the pictures of a cell, filters lists, and opens all for printing.
document.documentElement.classList.add("js");

function open(id) {
  const found = id && document.getElementById(id);
  if (found instanceof HTMLDetailsElement) {
    for (const one of [found, ...found.querySelectorAll("[hidden]")]) one.hidden = false; // by a filter
    found.open = true;
    found.querySelector("summary").focus({ preventScroll: true });
    found.scrollIntoView({ block: "nearest" });
  }
}

function openNamed() {
  open(decodeURIComponent(location.hash.slice(1)));
}

addEventListener("hashchange", openNamed);
openNamed();

for (const link of document.querySelectorAll(".matrix a")) {
  link.addEventListener("click", () => open(link.hash.slice(1))); // a second click changes no hash
}

for (const input of document.querySelectorAll("[data-filter]")) {
  const rows = document.querySelectorAll(`#${input.dataset.filter} [data-text]`);
  const said = input.closest(".filter").querySelector("output");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.dataset.text.toLowerCase().includes(words);
      shown += row.hidden ? 0 : 1;
    }
    for (const list of document.querySelectorAll(`#${input.dataset.filter} > details`)) {
      const has = list.querySelector("[data-text]:not([hidden])") !== null;
      if (words) list.open = has;
      list.hidden = !has;
    }
    said.textContent = words ? `${shown} of ${rows.length}` : "";
  });
}

let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of closed) one.open = false;
});
