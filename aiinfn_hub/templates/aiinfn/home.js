/* The home page: each button acts on the server of its own row, and nothing ends without a word. */
(() => {
  "use strict";
  const home = document.getElementById("home");
  const headers = { "X-XSRFToken": window.jhdata.xsrf_token, "Content-Type": "application/json" };
  const words = JSON.parse(document.getElementById("home-words").textContent);
  const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

  async function ask(method, url, body) {
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error(words.silent);
    }
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    throw new Error(said.message ? [said.message, said.hint].filter(Boolean).join(" ") : say("failed", answer));
  }

  const times = window.sessionTimes(home, ask, say);

  home.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const row = button.closest(".af-session");
    if (button.dataset.act === "extend") return times.extend(row);
    const name = row.querySelector("h2").textContent;
    const forget = button.dataset.act === "forget";
    if (forget && !window.confirm(say("remove", { name }))) return;
    button.disabled = true;
    row.querySelector(".af-problem").textContent = "";
    try {
      await ask("DELETE", `${home.dataset.api}/${row.dataset.server}`, forget ? { remove: true } : undefined);
      window.location.reload();
    } catch (problem) {
      row.querySelector(".af-problem").textContent = problem.message;
      button.disabled = false;
    }
  });

  const another = document.getElementById("another");
  another?.addEventListener("submit", (event) => {
    event.preventDefault();
    const problem = another.querySelector(".af-problem");
    const button = another.querySelector("button");
    button.disabled = true;
    problem.textContent = "";
    /* The hub's own rules for names: what people read, and what stands in addresses. RequireJS takes no async function. */
    require(["utils"], (utils) => add(utils).catch((error) => {
      problem.textContent = error.message;
      button.disabled = false;
    }));
  });

  async function add(utils) {
    const display = utils.sanitise_display_name(document.getElementById("another-name").value);
    if (!display) throw new Error(words.nameless);
    const name = encodeURIComponent(utils.safe_slug(display));
    await ask("PUT", `${home.dataset.api}/servers/${name}`, { display_name: display });
    window.location.assign(`${home.dataset.spawn}/${name}`);
  }

  /* What starts or stops is looked at again until it has. The page is loaded anew only then: it takes the focus away from who
     works with the keyboard. */
  const states = (page) =>
    [...page.querySelectorAll(".af-session")].map((row) => `${row.dataset.server}:${row.dataset.state}`).join();

  async function lookAgain() {
    if (document.visibilityState === "visible") {
      try {
        const answer = await fetch(window.location.href, { cache: "no-store" });
        const now = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (states(now) !== states(document)) return window.location.reload();
      } catch {
        /* The hub does not answer: it is asked again. */
      }
    }
    setTimeout(lookAgain, 2500);
  }
  if (home.querySelector('[data-state="starting"], [data-state="stopping"]')) setTimeout(lookAgain, 2500);
})();
