// Where a row is a block of its own (site.css), its cells need the heads of their columns.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("table.docutils")) {
    const heads = [...table.querySelectorAll("thead th")].map((head) => head.textContent.trim());
    if (heads.length === 0) continue;
    table.classList.add("stacks");
    for (const row of table.tBodies[0].rows) {
      [...row.cells].forEach((cell, place) => {
        if (heads[place] && place > 0) cell.dataset.head = heads[place];
      });
    }
  }
});
