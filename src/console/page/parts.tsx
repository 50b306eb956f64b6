import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { useAction, useNow } from "./live.ts";

/** A state in its colour; the word is always there, so the colour is never alone in saying it. */
export function Pill({ state }: { readonly state: string }) {
  return <span class={`pill ${TONE[state] ?? "quiet"}`}>{state}</span>;
}

const TONE: Readonly<Record<string, "good" | "busy" | "bad" | "quiet">> = {
  connected: "good",
  delivered: "good",
  read: "good",
  handled: "good",
  matched: "good",
  allow: "good",
  permit: "good",
  pairing: "busy",
  connecting: "busy",
  reconnecting: "busy",
  pending: "busy",
  sending: "busy",
  queued: "busy",
  sent: "busy",
  received: "busy",
  unknown: "bad",
  failed: "bad",
  undelivered: "bad",
  suppressed: "bad",
  error: "bad",
  deny: "bad",
  forbid: "bad",
};

/** A moment as a person says it, with the exact one behind it. */
export function Time({ at }: { readonly at: string }) {
  const now = useNow(30_000);
  return (
    <time dateTime={at} title={new Date(at).toLocaleString()}>
      {ago(now - Date.parse(at), at)}
    </time>
  );
}

function ago(ms: number, at: string): string {
  if (ms < 60_000) return "just now";
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ago`;
  if (ms < 86_400_000) return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return new Date(at).toLocaleDateString([], { day: "numeric", month: "short", year: "numeric" });
}

export function Note({ error }: { readonly error: string | undefined }) {
  return error === undefined ? null : (
    <p class="note bad" role="alert">
      {error}
    </p>
  );
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

interface ActProps {
  readonly run: () => Promise<unknown>;
  readonly done?: () => void;
  /** Asked back before it is done. */
  readonly sure?: string;
  readonly tone?: "main" | "danger";
  readonly children: ComponentChildren;
}

/** A button that does something to the service, and says so when that was refused. */
export function Act({ run, done, sure, tone, children }: ActProps) {
  const action = useAction(done);
  const [asking, setAsking] = useState(false);
  const go = () => {
    setAsking(false);
    action.run(run);
  };
  if (asking)
    return (
      <span class="asking">
        <span>{sure}</span>
        <button type="button" class="danger" onClick={go}>
          Yes
        </button>
        <button type="button" onClick={() => setAsking(false)}>
          No
        </button>
      </span>
    );
  return (
    <>
      <button
        type="button"
        class={tone}
        disabled={action.busy}
        onClick={() => (sure === undefined ? go() : setAsking(true))}
      >
        {children}
      </button>
      <Note error={action.error} />
    </>
  );
}

interface FieldProps {
  readonly label: string;
  readonly value: string;
  readonly onInput: (value: string) => void;
  readonly placeholder?: string;
  readonly required?: boolean;
}

export function Field({ label, value, onInput, placeholder, required }: FieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        value={value}
        placeholder={placeholder}
        required={required}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </label>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly value: string;
  /** What is chosen, and what is shown for it. */
  readonly options: readonly (readonly [value: string, shown: string])[];
  readonly onChange: (value: string) => void;
}

export function Choice({ label, value, options, onChange }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([option, shown]) => (
          <option key={option} value={option}>
            {shown}
          </option>
        ))}
      </select>
    </label>
  );
}
