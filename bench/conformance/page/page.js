"use strict";
(() => {
  const form = document.getElementById("filter");
  const boxes = ["outcome", "group", "clause", "level"].map((name) => [name, document.getElementById(`f-${name}`)]);
  const text = document.getElementById("f-text");
  const cases = [...document.querySelectorAll("details.case")];
  const squares = new Map(cases.map((one) => [one.id, []]));
  for (const square of document.querySelectorAll(".matrix a.sq"))
    squares.get(square.hash.slice(1))?.push(square);
  const words = new Map(cases.map((one) => [one, one.querySelector("summary").textContent.toLowerCase()]));
  const fits = (one) => {
    const wanted = text.value.trim().toLowerCase();
    if (wanted && !words.get(one).includes(wanted)) return false;
    return boxes.every(([name, box]) => !box.value || one.dataset[name].split(";").includes(box.value));
  };
  const apply = () => {
    let count = 0;
    for (const one of cases) {
      const keep = fits(one);
      count += keep;
      one.hidden = !keep;
      for (const square of squares.get(one.id)) square.classList.toggle("out", !keep);
    }
    document.getElementById("shown").textContent = `${count} / ${cases.length}`;
  };
  const fill = (one) => {
    const rest = one.querySelector("noscript");
    if (rest) rest.outerHTML = rest.textContent;
  };
  const name = (event) => {
    const one = event.target.classList?.contains("sq") && document.getElementById(event.target.hash.slice(1));
    const zh = document.getElementById("lang-zh").checked;
    if (one) event.target.title = `${one.id} ${one.querySelector(`summary > .${zh ? "zh" : "en"}`)?.textContent ?? ""}`;
  };
  const open = () => {
    const one = location.hash && document.getElementById(location.hash.slice(1));
    if (!one || !one.classList.contains("case")) return;
    if (one.hidden) { form.reset(); apply(); }
    fill(one);
    one.open = true;
    one.scrollIntoView();
  };
  const language = () => {
    const zh = document.getElementById("lang-zh").checked;
    document.documentElement.lang = zh ? "zh-CN" : "en";
    for (const option of form.querySelectorAll("option")) {
      option.dataset.en ??= option.textContent;
      option.textContent = zh ? option.dataset.zh : option.dataset.en;
    }
  };
  document.addEventListener("toggle", (event) => event.target.open && fill(event.target), true);
  document.addEventListener("mouseover", name);
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", open);
  document.getElementById("lang-en").addEventListener("change", language);
  document.getElementById("lang-zh").addEventListener("change", language);
  form.hidden = false;
  if (navigator.language.toLowerCase().startsWith("zh")) {
    document.getElementById("lang-zh").checked = true;
  }
  language();
  apply();
  open();
})();
