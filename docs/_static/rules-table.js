// Sorts and filters the table of rules; without this script it is a plain table.  Heads are buttons, so keys work.
document.querySelectorAll("table.nobackprop-rules").forEach((table) => {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const filter = document.getElementById(table.dataset.filter);
  const count = document.getElementById(table.dataset.count);
  const text = (row, column) => row.cells[column].textContent.trim();

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const order = [...rows].sort((a, b) => text(a, column).localeCompare(text(b, column), "en", { numeric: true }));
      body.append(...(down ? order.reverse() : order));
    });
  });

  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    rows.forEach((row) => { row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = `${shown} of ${rows.length} rules`;
  };
  filter.addEventListener("input", apply);
  apply();
});
