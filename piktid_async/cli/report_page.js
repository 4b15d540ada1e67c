"use strict";
(() => {
  const cards = [...document.querySelectorAll(".card")];
  const search = document.getElementById("search");
  const told = document.getElementById("told");
  const form = search.form;

  const sift = () => {
    const wanted = search.value.trim().toLowerCase();
    const state = form.elements.show.value;
    let shown = 0;
    for (const card of cards) {
      card.hidden = !card.dataset.find.includes(wanted);
      if (!card.hidden && (state === "all" || card.classList.contains(state))) shown += 1;
    }
    const whole = shown === cards.length;
    told.textContent = whole ? "" : `${shown.toLocaleString("en")} of ${cards.length.toLocaleString("en")} shown`;
    document.body.classList.toggle("empty", !shown);
  };
  search.hidden = false;
  form.addEventListener("input", sift);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", sift);
  sift();

  const timeline = document.querySelector(".timeline");
  if (timeline) {
    timeline.addEventListener("click", (event) => {
      const card = document.getElementById(event.target.dataset.go);
      if (!card) return;
      document.getElementById("show-all").checked = true;
      search.value = "";
      sift();
      card.scrollIntoView({ block: "center" });
      card.classList.add("here");
      card.addEventListener("animationend", () => card.classList.remove("here"), { once: true });
    });
  }

  // A picture that is shown large closes on Escape, and the keyboard goes on where it was.
  document.addEventListener("keydown", (event) => {
    const large = event.key === "Escape" && document.querySelector("figure:target");
    if (!large) return;
    location.hash = large.closest(".card").id;
    large.querySelector("a").focus();
  });
})();
