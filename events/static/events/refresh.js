// Keeps one part of a page as it is on the server: <div data-refresh="address" data-refresh-every="seconds">.
"use strict";

(() => {
  const part = document.querySelector("[data-refresh]");
  const button = document.querySelector("[data-refresh-pause]");
  const status = document.querySelector("[data-refresh-status]");
  if (!part || !button || !status) return;

  const every = Number(part.dataset.refreshEvery) * 1000;
  // Milliseconds until the site is taken for one that doesn't answer.
  const patience = 15000;
  let paused = false;
  let silentSince = null;

  function say(text) {
    // Said again, a screen reader would read it again.
    if (status.textContent !== text) status.textContent = text;
  }

  function replace(html) {
    // A keyboard stays where it is.
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const open = [...part.querySelectorAll("details[open]")].map((each) => each.id);
    part.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  async function refresh() {
    try {
      const answer = await fetch(part.dataset.refresh, {
        headers: { "X-Requested-With": "XMLHttpRequest" },
        redirect: "error",
        signal: AbortSignal.timeout(patience),
      });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const html = await answer.text();
      if (paused) return;
      replace(html);
      silentSince = null;
      say(`Refreshes every ${every / 1000} s.`);
    } catch {
      silentSince ??= new Date().toLocaleTimeString();
      say(`No answer from the site since ${silentSince}: these figures are old.`);
    }
  }

  async function run() {
    if (!paused && !document.hidden) await refresh();
    setTimeout(run, every);
  }

  button.addEventListener("click", () => {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    button.textContent = paused ? "Resume" : "Pause";
    say(paused ? "Paused." : `Refreshes every ${every / 1000} s.`);
    if (!paused) refresh();
  });

  button.hidden = false;
  say(`Refreshes every ${every / 1000} s.`);
  setTimeout(run, every);
})();
