/** Copy buttons: <button data-copy="id of the element whose text is copied" data-copied="…" data-selected="…">. */

const status = document.querySelector("#copied");

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy), button.dataset));
}

async function copy(source, texts) {
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    status.textContent = texts.copied;
  } catch {
    // Without https a page may not write to the clipboard; the text is selected for Ctrl-C instead.
    window.getSelection().selectAllChildren(source);
    status.textContent = texts.selected;
  }
}
