// Says beside the form what went wrong with a passkey; without this nothing would.
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  const place = document.getElementById("passkey_trouble");
  const main = document.getElementById("content");
  if (!place || !main) return;
  const name = event.detail.exception && event.detail.exception.name;
  const missing = !window.PublicKeyCredential || name === "SecurityError";
  place.textContent = missing ? place.dataset.missing : place.dataset.failed;
  place.hidden = false;
  main.prepend(place);
});
