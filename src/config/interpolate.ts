/** The environment, as `process.env` has it. */
export type Env = Readonly<Record<string, string | undefined>>;

type Interpolated =
  /** `replaced`: at least one variable was put in. */
  | { readonly ok: true; readonly text: string; readonly replaced: boolean }
  | { readonly ok: false; readonly problems: readonly { readonly message: string; readonly fix: string }[] };

/**
 * Puts environment variables into a text: `${NAME}`, and `${NAME:-default}` for one that is unset or empty.
 * `$${` is a plain `${`. A name that is unset and has no default is a problem; all of a text are reported.
 */
export function interpolate(text: string, env: Env): Interpolated {
  const problems: { message: string; fix: string }[] = [];
  let out = "";
  let replaced = false;
  let from = 0;
  for (;;) {
    const dollar = text.indexOf(`\${`, from);
    if (dollar < 0) break;
    if (dollar > from && text[dollar - 1] === "$") {
      out += `${text.slice(from, dollar - 1)}\${`;
      from = dollar + 2;
      continue;
    }
    out += text.slice(from, dollar);
    const close = text.indexOf("}", dollar);
    const inside = close < 0 ? undefined : text.slice(dollar + 2, close);
    if (inside === undefined || inside.includes(`\${`)) {
      problems.push({
        message: inside === undefined ? `has a \${ without its }` : `has a \${…} inside another one`,
        fix: `write \${NAME} or \${NAME:-default}, or $\${ for a plain \${`,
      });
      break;
    }
    from = close + 1;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s.exec(inside);
    const name = match?.[1];
    if (name === undefined) {
      problems.push({
        message: `has a \${…} that names no environment variable`,
        fix: `write \${NAME} or \${NAME:-default} with letters, digits and _ in NAME, or $\${ for a plain \${`,
      });
      continue;
    }
    const fallback = match?.[2];
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value === undefined && fallback === undefined) {
      problems.push({
        message: `needs the environment variable ${name}, which is not set`,
        fix: `set ${name}, or write \${${name}:-default}`,
      });
      continue;
    }
    out += fallback !== undefined && (value === undefined || value === "") ? fallback : (value ?? "");
    replaced = true;
  }
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, text: out + text.slice(from), replaced };
}
