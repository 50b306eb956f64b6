/** The process's environment; read here and nowhere else. */
export function environment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}

/** All that command agents see of it. */
export function inheritedEnv(): { readonly PATH?: string; readonly HOME?: string; readonly LANG?: string } {
  const { PATH, HOME, LANG } = process.env;
  return {
    ...(PATH === undefined ? {} : { PATH }),
    ...(HOME === undefined ? {} : { HOME }),
    ...(LANG === undefined ? {} : { LANG }),
  };
}
