/* What makes the session form handy: finding cards, ready-made choices, and a link to what is chosen. */
"use strict";
const aiinfnTools = ({ root, rules, words, say, fill, apply, choice }) => {
  const KEYS = ["accelerator", "count", "project", "image", "size", "time_limit"];
  const byId = (id) => root.querySelector(`#${id}`);

  /** Show the cards in which every word is found, and the one that is chosen. */
  function find() {
    const field = byId("find");
    if (!field) return;
    const box = byId("find-box");
    const cards = [...root.querySelectorAll("[data-card]")].map((card) => ({
      card,
      radio: card.querySelector("input"),
      text: plain(
        [
          card.dataset.card,
          card.closest(".af-group").querySelector(".af-group-title").firstChild.textContent,
          card.querySelector(".af-title").textContent,
          card.querySelector(".af-memory")?.textContent ?? "",
          card.querySelector(".af-description").textContent,
        ].join(" "),
      ),
    }));
    box.hidden = false;
    let hits = [];
    function look() {
      const sought = plain(field.value).split(" ").filter(Boolean);
      hits = cards.filter(({ text }) => sought.every((word) => text.includes(word)));
      const among = new Set(hits);
      for (const each of cards) each.card.hidden = !among.has(each) && !each.radio.checked;
      for (const group of root.querySelectorAll(".af-group")) {
        const shown = group.querySelectorAll("[data-card]:not([hidden])").length;
        group.hidden = !shown;
        say(group.querySelector(".af-group-count"), String(shown));
        if (shown && sought.length) group.open = true;
      }
      const counted = fill(words.hits[hits.length === 1 ? 0 : 1], { count: hits.length, total: cards.length });
      say(byId("found"), !sought.length ? "" : hits.length ? counted : words.noHit);
    }
    field.addEventListener("input", look);
    /* What was chosen while something was sought need not be shown any more, and the other way round. */
    root.addEventListener("settled", () => field.value && look());
    field.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") {
        event.preventDefault(); /* Enter would start a session */
        hits[0]?.radio.focus();
      } else if (event.key === "Escape" && field.value) {
        event.preventDefault();
        field.value = "";
        look();
      }
    });
    look();
  }

  /** Leave out what people leave out: capitals, accents, and the space between a number and its unit. */
  function plain(text) {
    return text
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .replace(/\s+/g, " ")
      .replace(/(\d) (?=[kmgt]i?b)/g, "$1");
  }

  /** Fill a ready-made choice in without loading the page; its link would do the same. */
  function presets() {
    const links = [...root.querySelectorAll("[data-preset]")].map((link) => [link, JSON.parse(link.dataset.preset)]);
    for (const [link, wanted] of links) {
      link.addEventListener("click", (event) => {
        if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        apply(wanted);
        say(byId("told"), fill(words.filled, { title: link.textContent }));
      });
    }
    root.addEventListener("settled", () => {
      const now = choice();
      for (const [link, wanted] of links) {
        const same = KEYS.every((key) => (wanted[key] || "") === (now[key] || ""));
        if (same) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    });
  }

  function address() {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(choice())) if (value) query.set(`opt-${key}`, value);
    return `${location.origin}${rules.spawn}?${query}`;
  }

  function share() {
    if (!rules.spawn) return;
    const shown = byId("address");
    byId("share").hidden = false;
    byId("copy").addEventListener("click", async () => {
      const link = address();
      try {
        await navigator.clipboard.writeText(link);
        shown.hidden = true;
        say(byId("told"), words.copied);
      } catch {
        /* No secure context, or not allowed: the person copies it. */
        say(byId("told"), words.copyThis);
        shown.value = link;
        shown.hidden = false;
        shown.focus();
        shown.select();
      }
    });
    root.addEventListener("settled", () => {
      shown.hidden = true;
      say(byId("told"), "");
    });
  }

  return {
    begin() {
      share();
      presets();
      find();
    },
  };
};
