// What a link's token begins with says what it is for. Opening the page uses nothing up, the button does.
"use strict";

const PURPOSES = {
  rkp_: { path: "/reset", fields: ["new_password"], about: "Choose a new password.", done: "Sign in with the new password." },
  rkv_: {
    path: "/verification/confirm",
    fields: ["password"],
    about: "Confirm your address with your password; without it you choose a new one.",
    done: "Your address is confirmed.",
  },
  rke_: {
    path: "/email/confirm",
    fields: ["identifier", "password"],
    about: "Sign in with the address that you had until now, to use the new one.",
    done: "Your address was changed. Sign in with it.",
  },
  rki_: {
    path: "/invitation/accept",
    fields: ["new_password"],
    about: "Choose a password for your account.",
    done: "You have an account now. Sign in with your address and the password.",
  },
  rkg_: {
    path: "/register/confirm",
    fields: ["password"],
    about: "Give the password that you chose, and your account begins.",
    done: "You have an account now. Sign in with your address and the password.",
  },
  rku_: { path: "/email/revert", fields: [], about: "Undo the change of address.", done: "Undone: we mailed you a link to choose a new password." },
};

const form = document.querySelector("form");
const button = form.querySelector("button");
const say = (id, text) => (document.getElementById(id).textContent = text);

let token = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

async function post(path, body, bearer) {
  const headers = { "content-type": "application/json" };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  // Whoever is signed in by cookies may open a mail of another account: this page has a token of its own, or none.
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  const answer = await response.json();
  if (response.ok) return answer;
  const wait = response.headers.get("retry-after");
  throw new Error(wait ? `Too many tries: try again in ${wait} seconds.` : (answer.fields?.[0]?.message ?? answer.detail));
}

/** The session in which an address is changed. */
async function signIn(identifier, password) {
  const { tokens } = await post("/login", { identifier, password });
  if (!tokens) throw new Error("Sign in to the application first, it has something to ask of you.");
  return tokens.access_token;
}

function show() {
  const purpose = PURPOSES[token.slice(0, 4)];
  form.reset();
  for (const input of form.querySelectorAll("input")) {
    input.closest("p").hidden = !purpose?.fields.includes(input.name);
  }
  button.hidden = !purpose;
  if (!purpose) return;
  say("about", purpose.about);
  button.textContent = "Go on";
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { path, done } = PURPOSES[token.slice(0, 4)];
  const { identifier, password, new_password } = Object.fromEntries(new FormData(form));
  button.disabled = true;
  try {
    const isChange = path === "/email/confirm";
    const bearer = isChange ? await signIn(identifier, password) : undefined;
    const body = isChange ? { token } : { token, new_password, password: password || undefined };
    const answer = await post(path, body, bearer);
    token = answer?.reset_token ?? "";
    say("answer", token ? "" : answer?.is_verified === false ? "Sign in the way you did before." : done);
    show();
    if (!token) say("about", "");
  } catch (error) {
    say("answer", error.message);
  } finally {
    button.disabled = false;
  }
});

// The page stays open when another link is opened in it.
addEventListener("hashchange", () => location.reload());
show();
