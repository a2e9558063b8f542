/* Links with data-dialog="id" open that dialog instead of going to the page that asks the same; data-dialog-close
   closes the dialog around it. */
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  const dialog = opener && document.getElementById(opener.dataset.dialog);
  if (dialog?.showModal) {
    event.preventDefault();
    dialog.showModal();
    return;
  }
  const closer = event.target.closest("[data-dialog-close]");
  const around = closer?.closest("dialog");
  if (around) {
    event.preventDefault();
    around.close();
  } else if (event.target instanceof HTMLDialogElement) {
    event.target.close();
  }
});
