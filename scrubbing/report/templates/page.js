/* Sorting and filtering of long tables. The page says all it has to say without this. */
for (const table of document.querySelectorAll("table.listing")) {
  const body = table.tBodies[0], rows = [...body.rows];
  const key = (row, i) => row.cells[i].dataset.sort === undefined ? row.cells[i].textContent : +row.cells[i].dataset.sort;
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", "sort by " + head.textContent);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const order = (a, b) => a < b ? -1 : a > b ? 1 : 0;
      rows.sort((a, b) => order(key(a, i), key(b, i)) * (up ? 1 : -1));
      body.append(...rows);
    });
  });
  const label = document.createElement("label"), field = document.createElement("input"), told = document.createElement("output");
  field.type = "search";
  label.className = "filter";
  label.append("Only rows with ", field, " ", told);
  table.closest(".box").before(label);
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = [...row.cells].map(cell => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every(word => text.includes(word));
      shown += !row.hidden;
    }
    told.value = words.length ? shown + " of " + rows.length : "";
  });
}
