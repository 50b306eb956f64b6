import { nearest } from "../nearest.ts";
import type { Fault } from "./cedar.ts";

/** What Cedar says, with what to write instead. */
export function explain(fault: Fault): { readonly message: string; readonly fix: string } {
  for (const { when, fix, message } of EXPLANATIONS) {
    const match = when.exec(fault.message);
    if (match !== null)
      return { message: message ?? fault.message, fix: typeof fix === "string" ? fix : fix(match, fault) };
  }
  return {
    message: fault.message,
    fix:
      fault.help === undefined
        ? "The syntax is described at https://docs.cedarpolicy.com/policies/syntax-policy.html."
        : sentence(fault.help),
  };
}

interface Explanation {
  readonly when: RegExp;
  readonly message?: string;
  readonly fix: string | ((match: RegExpExecArray, fault: Fault) => string);
}

const ACTIONS = ["receive_message", "receive_signal", "send_message", "invoke_tool"];

const EXPLANATIONS: readonly Explanation[] = [
  {
    when: /^expected a static policy, got a template|^template/,
    message: "templates (?principal, ?resource) are not taken: nothing here fills them in",
    fix: 'Write the name in their place, for example principal == Policy::Agent::"assistant".',
  },
  {
    when: /^the types .*\{address: String,.* are not compatible/,
    message: "the sender is a record, which a value of another type never equals",
    fix: 'Compare one of its attributes: resource.sender.address == "+15551234567" (also kind, country, paired).',
  },
  {
    when: /^attribute `(sender|num_media)` on entity type/,
    fix: (match) =>
      `Only messages have \`${match[1]}\` (a recipient has address, kind, country and paired itself): write action == Policy::Action::"receive_message" in the scope, or resource is Policy::Message && … before it.`,
  },
  {
    when: /^unexpected type: .*AnyEntity.* but saw/,
    message: "`in` is for entities only",
    fix: 'Look a text up in a list by ["+15551234567", "22000"].contains(resource.sender.address).',
  },
  {
    when: /^unexpected type: expected datetime but saw/,
    fix: 'Write a time as datetime("2026-01-31T08:00:00Z"), a time of day as context.now.toTime() >= duration("8h") (UTC).',
  },
  {
    when: /^attribute `(paired_addresses|sender|channel)` in context/,
    fix: (match) =>
      match[1] === "paired_addresses"
        ? "Tools are asked without paired_addresses: name the other actions in the scope, or use context.sender.paired."
        : `Only invoke_tool has \`context.${match[1]}\`: a message's sender is resource.sender.`,
  },
  {
    when: /^unrecognized action `Policy::Action::"(.*)"`/,
    fix: (match) => {
      const meant = nearest(match[1] ?? "", ACTIONS);
      return meant === undefined
        ? `The actions are ${ACTIONS.map((action) => `Policy::Action::"${action}"`).join(", ")}.`
        : `Did you mean Policy::Action::"${meant}"?`;
    },
  },
  {
    when: /^unrecognized action/,
    fix: 'Actions are written Policy::Action::"receive_message".',
  },
  {
    when: /^empty set literals/,
    fix: "Delete the comparison with the empty set, or put into it what is meant.",
  },
  {
    when: /^unrecognized entity type/,
    fix: (_, fault) =>
      fault.help === undefined
        ? "The types are Policy::Agent, Policy::Server, Policy::Tool, Policy::Channel, Policy::Message and Policy::Recipient."
        : sentence(fault.help),
  },
  {
    when: /policy is impossible/,
    message: "this policy can never match: its conditions contradict each other or the types of its scope",
    fix: "Correct the condition, or delete the policy. (Only a policy that replaces a built-in one may end in `when { false }`.)",
  },
  {
    when: /unable to find an applicable action/,
    message: "this policy can never match: no action has this principal and this resource",
    fix: "The principal is always a Policy::Agent. receive_message and receive_signal have a Policy::Message, send_message a Policy::Recipient, invoke_tool a Policy::Tool.",
  },
  {
    when: /contains (mixed scripts|BIDI|characters? that|confusable)/i,
    fix: "Type the text again in one script; letters that only look alike never match.",
  },
  {
    when: /^unexpected end of input/,
    fix: "Every policy ends with a semicolon, and every bracket is closed.",
  },
  {
    when: /^(unexpected token|invalid token)/,
    fix: (_, fault) =>
      fault.help === undefined
        ? 'A policy reads: @id("name") permit (principal, action, resource) when { … };'
        : sentence(fault.help),
  },
];

function sentence(help: string): string {
  const text = help.charAt(0).toUpperCase() + help.slice(1);
  return /[.?!]$/.test(text) ? text : `${text}.`;
}
