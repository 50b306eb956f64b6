import { useState } from "preact/hooks";
import { type Address, act, type List } from "./api.ts";
import { useAction, useLoad } from "./live.ts";
import { Act, Empty, Note, Time } from "./parts.tsx";

interface AddressesProps {
  readonly path: string;
  /** How many there are, which tells when to look again. */
  readonly count: number;
  readonly changed: () => void;
}

/** The phones the agent obeys. */
export function Addresses({ path, count, changed }: AddressesProps) {
  const [open, setOpen] = useState(false);
  return (
    <details class="addresses" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {count} paired {count === 1 ? "phone" : "phones"}
      </summary>
      {open && <AddressList key={count} path={path} changed={changed} />}
    </details>
  );
}

function AddressList({ path, changed }: { readonly path: string; readonly changed: () => void }) {
  const { data, error, reload } = useLoad<List<Address>>(`${path}/addresses`);
  return (
    <>
      <Note error={error} />
      {data?.items.length === 0 && <Empty>Nobody is paired.</Empty>}
      <ul class="plain">
        {data?.items.map((item) => (
          <li key={item.address}>
            <Label
              path={`${path}/addresses/${encodeURIComponent(item.address)}`}
              item={item}
              changed={reload}
            />
            <span class="quiet">
              paired <Time at={item.paired_at} />
            </span>
            <Act
              run={() => act("DELETE", `${path}/addresses/${encodeURIComponent(item.address)}`)}
              done={changed}
              sure={`Shut ${item.label ?? item.address} out?`}
              tone="danger"
            >
              Revoke
            </Act>
          </li>
        ))}
      </ul>
    </>
  );
}

interface LabelProps {
  readonly path: string;
  readonly item: Address;
  readonly changed: () => void;
}

function Label({ path, item, changed }: LabelProps) {
  const [label, setLabel] = useState(item.label ?? "");
  const action = useAction(changed);
  const save = () => {
    if (label.trim() === (item.label ?? "")) return;
    action.run(() => act("PATCH", path, { label: label.trim() === "" ? null : label.trim() }));
  };
  return (
    <form
      class="label"
      onSubmit={(event) => {
        event.preventDefault();
        save();
      }}
    >
      <span class="number">{item.address}</span>
      <input
        aria-label={`Name of ${item.address}`}
        placeholder="name"
        value={label}
        maxLength={100}
        onInput={(event) => setLabel(event.currentTarget.value)}
        onBlur={save}
      />
      <Note error={action.error} />
    </form>
  );
}
