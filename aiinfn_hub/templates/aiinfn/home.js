/* The home page: each button acts on the server of its own row, and nothing ends without a word. */
(() => {
  "use strict";
  const home = document.getElementById("home");
  const headers = { "X-XSRFToken": window.jhdata.xsrf_token, "Content-Type": "application/json" };

  /* The day is said only where it is not today. */
  for (const time of home.querySelectorAll("time")) {
    const end = new Date(time.dateTime);
    const options = { hour: "2-digit", minute: "2-digit" };
    if (end.toDateString() !== new Date().toDateString()) options.weekday = "short";
    time.textContent = `at ${end.toLocaleTimeString([], options)}`;
  }

  async function ask(method, url, body) {
    let answer;
    try {
      answer = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    } catch {
      throw new Error("The hub does not answer. Check the connection, then try again.");
    }
    if (answer.ok) return;
    const said = await answer.json().catch(() => ({}));
    throw new Error(said.message || `It did not work (${answer.status}). Load this page again.`);
  }

  home.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-act]");
    if (!button) return;
    const row = button.closest(".af-session");
    const name = row.querySelector("h2").textContent;
    const forget = button.dataset.act === "forget";
    if (forget && !window.confirm(`Remove “${name}” from this list? Your files stay.`)) return;
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
    if (!display) throw new Error("Give it a name with letters or digits.");
    const name = encodeURIComponent(utils.safe_slug(display));
    await ask("PUT", `${home.dataset.api}/servers/${name}`, { display_name: display });
    window.location.assign(`${home.dataset.spawn}/${name}`);
  }

  /* What starts or stops is looked at again until it has. */
  if (home.querySelector('[data-state="starting"], [data-state="stopping"]')) {
    setTimeout(() => document.visibilityState === "visible" && window.location.reload(), 2500);
  }
})();
