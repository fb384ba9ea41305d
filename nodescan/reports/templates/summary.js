(function () {
  "use strict";
  var table = document.getElementById("slides"), body = table.tBodies[0];
  var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
  var told = document.getElementById("sorted");
  var words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function value(row, column, kind) {
    var text = row.cells[column].getAttribute("data-sort");
    if (kind === "text") { return text; }
    return text === "" ? null : Number(text);
  }

  function compare(one, other, kind, turn) {
    if (one === null || one === "") { return other === null || other === "" ? 0 : 1; }
    if (other === null || other === "") { return -1; }
    return turn * (kind === "text" ? words.compare(one, other) : one - other);
  }

  function sort(head) {
    var kind = head.getAttribute("data-kind"), column = heads.indexOf(head), now = head.getAttribute("aria-sort");
    var first = kind === "text" ? "ascending" : "descending", second = kind === "text" ? "descending" : "ascending";
    var order = now === first ? second : first, turn = order === "ascending" ? 1 : -1;
    Array.prototype.slice.call(body.rows)
      .map(function (row, index) { return { row: row, key: value(row, column, kind), index: index }; })
      .sort(function (a, b) { return compare(a.key, b.key, kind, turn) || a.index - b.index; })
      .forEach(function (item) { body.appendChild(item.row); });
    heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", order);
    told.textContent = "Sorted by " + head.textContent.trim() + ", " + order + ".";
  }

  heads.forEach(function (head) {
    if (!head.hasAttribute("data-kind")) { return; }
    var button = document.createElement("button");
    button.type = "button";
    while (head.firstChild) { button.appendChild(head.firstChild); }
    button.addEventListener("click", function () { sort(head); });
    head.appendChild(button);
  });
  table.classList.add("sortable");
})();
