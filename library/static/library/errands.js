// What the workers do about the reader's action, beside the message that says it was done.
"use strict";

(() => {
  const FIRST = 300; // ms between two questions; each pause is longer than the last
  const LONGER = 1.3;
  const LAST = 60_000; // ms after which nobody waits any more

  function show(list, errands) {
    errands.forEach((errand, at) => {
      const item = list.children[at] || list.appendChild(document.createElement("li"));
      if (item.textContent !== errand.text) item.textContent = errand.text;
      item.className = errand.progress;
    });
    while (list.children.length > errands.length) list.lastChild.remove();
  }

  async function follow(message) {
    const list = message.appendChild(document.createElement("ul"));
    list.className = "errands";
    const end = performance.now() + LAST;
    for (let pause = FIRST; performance.now() < end; pause *= LONGER) {
      try {
        const answer = await fetch(message.dataset.errands, { headers: { Accept: "application/json" } });
        if (!answer.ok) return;
        const told = await answer.json();
        show(list, told.errands);
        if (told.finished) return;
      } catch {
        // The network comes and goes: it asks again.
      }
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }

  document.querySelectorAll("[data-errands]").forEach(follow);
})();
