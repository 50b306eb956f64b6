import { useEffect, useState } from "preact/hooks";
import { ask } from "./api.ts";
import { useAction } from "./live.ts";
import { Note } from "./parts.tsx";

const LINK = /^#sign-in=(\w+)$/;

/** The login page. A one-time link signs in by itself. */
export function SignIn({ done }: { readonly done: () => void }) {
  const [token, setToken] = useState("");
  const action = useAction(done);
  useEffect(() => {
    const code = LINK.exec(location.hash)?.[1];
    if (code === undefined) return;
    // Spent, so of no use to whoever reads the history.
    history.replaceState(null, "", "/");
    action.run(() => ask("POST", "/session", { token: code }));
  }, []);
  return (
    <main class="sign-in">
      <form
        class="card"
        onSubmit={(event) => {
          event.preventDefault();
          action.run(() => ask("POST", "/session", { token: token.trim() }));
        }}
      >
        <h1>sms-agent</h1>
        <label class="field">
          <span>Token</span>
          <input
            type="password"
            required
            autocomplete="current-password"
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        <button type="submit" class="main" disabled={action.busy}>
          Sign in
        </button>
        <Note error={action.error} />
        <p class="quiet">
          Run <code>sms-agent console</code> on the server for a link that signs you in. The admin token lies
          in <code>admin-token</code> in the data folder.
        </p>
      </form>
    </main>
  );
}
