/** What became of a text; each is in exactly one of these. */
const FATES = {
  answered: "its reply reached the phone",
  undelivered: "the carrier took the reply and could not deliver it",
  refused: "the carrier refused the reply for good",
  unknown: "whether the carrier took the reply cannot be told, and it is not sent again",
  behind: "the reply waits behind one whose fate is not known yet, so that the order is kept",
  silent: "the agent chose to say nothing",
  apologised: "the agent failed, and the phone was told so",
  captured: "taken for a signal, as the channel's mode was at that moment",
  stopped: "its sender had opted out",
  missing: "nothing came of it",
} as const;

export type Fate = keyof typeof FATES;

export const RULES = {
  "acknowledged and lost": "a text was answered with 200 and is not in the database",
  missing: "a text has no reply, and no reason why",
  doubled: "the carrier was given a reply more than once",
  "written twice": "two replies were made for one text",
  astray: "a phone got the reply to another phone's text",
  "run twice": "one text was given to an agent in two turns",
  "two ids": "a turn came under a webhook-id that is not its own",
  "out of order": "a reply overtook one to an earlier text of the same phone",
  "reminder lost": "a reminder that was set did not come",
  "reminder twice": "a reminder came more than once",
  "after STOP": "a text was sent to a phone that had opted out",
  "event missing": "the webhook consumer was not told of a text",
  "event twice": "the webhook consumer was told of one text under two ids",
  "code twice": "one code was given to two who waited",
  "code lost": "a code was given to nobody although somebody waited",
  "ended by itself": "the service was not there any more when it was to be killed",
  "ended badly": "the service did not end well when it was asked to",
  damaged: "the database is not sound",
  "unexpected error": "the log holds an error that no fault explains",
} as const;

export type Rule = keyof typeof RULES;

export interface Violation {
  readonly rule: Rule;
  /** What to look for in the database and the logs. */
  readonly about: string;
  /** The texts it concerns. */
  readonly numbers?: readonly number[];
}

export function describeFate(fate: Fate): string {
  return FATES[fate];
}
