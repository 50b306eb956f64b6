import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Alert, ask, get, type List, Refusal, SIGNED_OUT } from "./api.ts";
import { Channels } from "./channels.tsx";
import { Conversations } from "./conversations.tsx";
import { follow, useLoad, useRoute } from "./live.ts";
import { Messages } from "./messages.tsx";
import { Act, Note } from "./parts.tsx";
import { Phone } from "./phone.tsx";
import { Policies } from "./policies.tsx";
import { SignIn } from "./sign-in.tsx";
import { Usage } from "./usage.tsx";
import { Watches } from "./watches.tsx";

const PAGES = [
  ["/channels", "Channels"],
  ["/messages", "Messages"],
  ["/conversations", "Conversations"],
  ["/watches", "Watches"],
  ["/policies", "Policies"],
  ["/usage", "Usage"],
  ["/phone", "Phone"],
] as const;

/** Who looks at it is known by a cookie no script can read, so the service is asked. */
function Console() {
  const [signedIn, setSignedIn] = useState<boolean>();
  const [error, setError] = useState<string>();
  const look = () => {
    setError(undefined);
    get("/alerts").then(
      () => setSignedIn(true),
      (failure: unknown) => {
        if (failure instanceof Refusal && failure.status === 401) setSignedIn(false);
        else setError(failure instanceof Error ? failure.message : String(failure));
      },
    );
  };
  useEffect(() => {
    const onSignedOut = () => setSignedIn(false);
    window.addEventListener(SIGNED_OUT, onSignedOut);
    look();
    return () => window.removeEventListener(SIGNED_OUT, onSignedOut);
  }, []);
  if (error !== undefined)
    return (
      <main class="sign-in">
        <Note error={error} />
        <button type="button" onClick={look}>
          Try again
        </button>
      </main>
    );
  if (signedIn === undefined) return null;
  return signedIn ? <Signed out={() => setSignedIn(false)} /> : <SignIn done={() => setSignedIn(true)} />;
}

function Signed({ out }: { readonly out: () => void }) {
  const { path, query } = useRoute();
  useEffect(follow, []);
  return (
    <div class="frame">
      <nav>
        <a class="brand" href="#/channels">
          sms-agent
        </a>
        {PAGES.map(([to, name]) => (
          <a key={to} href={`#${to}`} aria-current={path === to ? "page" : undefined}>
            {name}
          </a>
        ))}
        <span class="last">
          <Act run={() => ask("DELETE", "/session")} done={out}>
            Sign out
          </Act>
        </span>
      </nav>
      <main>
        <Banner />
        <Page path={path} query={query} />
      </main>
    </div>
  );
}

function Page({ path, query }: { readonly path: string; readonly query: URLSearchParams }) {
  switch (path) {
    case "/messages":
      return <Messages key={query.toString()} query={query} />;
    case "/conversations":
      return <Conversations />;
    case "/watches":
      return <Watches />;
    case "/policies":
      return <Policies />;
    case "/usage":
      return <Usage />;
    case "/phone":
      return <Phone />;
    default:
      return <Channels />;
  }
}

/** What the operator is told, for the hour it stays true. */
function Banner() {
  const { data } = useLoad<List<Alert>>("/alerts", { on: ["alert"], every: 60_000 });
  if (data === undefined || data.items.length === 0) return null;
  return (
    <aside class="banner" aria-label="Alerts">
      {data.items.map((alert) => (
        <p key={alert.cause}>
          <strong>{alert.message}</strong> {alert.fix}
        </p>
      ))}
    </aside>
  );
}

const root = document.getElementById("console");
if (root !== null) render(<Console />, root);
