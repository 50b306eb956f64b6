/** What a word of the lexicon says about the numbers around it; a word may say several things at once. */
export const Kind = {
  /** A noun that means a one-time code by itself: `OTP`, `verification code`. */
  secret: 1 << 0,
  /** A noun that needs its company: `code`. */
  code: 1 << 1,
  /** `password`, `PIN`: a secret, though not always a one-time one. */
  pass: 1 << 2,
  /** `confirmation code`, `authorization code`: a secret, but on bookings and receipts a reference. */
  cond: 1 << 3,
  /** What is typed at a locker or told to a courier. */
  pickup: 1 << 4,
  /** Proving who one is, signing in, registering. */
  verify: 1 << 5,
  /** Advertising; beside a code noun it makes it a coupon. */
  promo: 1 << 6,
  /** A label whose number is never a code: `tracking`, `invoice`, `balance`, `flight`. */
  ref: 1 << 7,
  /** Things that have numbers but are also only spoken of: `order`, `card`, `account`. */
  thing: 1 << 8,
  /** `number`, `no.`, `id`. */
  number: 1 << 9,
  /** Flights and trains: a booking of theirs is no appointment. */
  travel: 1 << 10,
  /** `call`, `ending in`: up to three words on, a telephone number or the visible end of a card follows. */
  reach: 1 << 11,
  /** Texting something to somewhere. */
  send: 1 << 12,
  /** The preposition between `send` and a number. */
  to: 1 << 13,
  /** `is` and what stands in its place, before or after a code. */
  copula: 1 << 14,
  /** `enter`, `use`. */
  enter: 1 << 15,
  /** `do not share`. */
  warn: 1 << 16,
  /** `expires`, `valid for`. */
  validity: 1 << 17,
  /** A currency in letters. */
  money: 1 << 18,
  /** A measure after a number. */
  unit: 1 << 19,
  /** Flights, hotels, tables. */
  booking: 1 << 20,
  /** A month's name, today, a weekday. */
  day: 1 << 21,
  deliveryStrong: 1 << 22,
  delivery: 1 << 23,
  appointmentStrong: 1 << 24,
  appointment: 1 << 25,
  paymentStrong: 1 << 26,
  payment: 1 << 27,
  /** `confirm`, `reset`, `complete`: what a link may do. */
  confirm: 1 << 28,
  /** `tap`, `link`. */
  click: 1 << 29,
  /** `if this was not you`. */
  denial: 1 << 30,
  /** Phrases that only keep a word in them from counting: `toll free`, `dress code`. */
  neutral: 1 << 31,
} as const;

export type KindName = keyof typeof Kind;

export const NOUN = Kind.secret | Kind.code | Kind.pass | Kind.cond | Kind.pickup;
