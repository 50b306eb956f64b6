import type { Command } from "commander";
import { inheritedEnv } from "../config/environment.ts";
import { withoutNumbers } from "../log.ts";
import { nearest } from "../nearest.ts";
import { openSettings } from "./load.ts";
import { hangups, untilSignal } from "./signals.ts";
import { VERSION } from "./version.ts";

/** What is in flight gets this long to finish, ms. */
export const SHUTDOWN_GRACE = 10_000;

export function serveVerb(program: Command): void {
  program
    .command("serve", { isDefault: true })
    .description("start the service (the default command)")
    .allowExcessArguments()
    .addHelpText("after", "\nExample:\n  sms-agent serve --config sms.yaml")
    .action(async function (this: Command) {
      refuseArguments(program, this);
      const { config } = this.optsWithGlobals<{ config: string }>();
      const stopped = untilSignal();
      const onHangup = hangups();
      const { file, settings, warnings } = openSettings(config);
      const [{ openApp }, { systemSeams }] = await Promise.all([
        import("../app.ts"),
        import("../app-seams.ts"),
      ]);
      const seams = systemSeams(settings.log, inheritedEnv(), VERSION);
      const log = withoutNumbers(seams.log);
      for (const reason of warnings) log.warn("config.warning", { reason });
      try {
        const broken = Promise.withResolvers<never>();
        broken.promise.catch(() => {});
        const app = await openApp(settings, { ...seams, configFile: file, onBroken: broken.reject });
        try {
          await app.listen();
          app.configuration.watch();
          onHangup(() => {
            log.info("signal", { name: "SIGHUP" });
            app.configuration.reload().catch((error: unknown) => {
              log.error("config.reload", { error: String(error) });
            });
          });
          // Without a database there is nothing to do here: whoever watches over the process starts it anew.
          log.info("signal", { name: await Promise.race([stopped, broken.promise]) });
        } finally {
          await app.close(SHUTDOWN_GRACE);
        }
      } finally {
        seams.log.flush();
      }
    });
}

/** As the default command, `serve` is also given every word that is no command at all. */
function refuseArguments(program: Command, verb: Command): void {
  const word = verb.args[0];
  if (word === undefined) return;
  if (program.args[0] === verb.name()) verb.error(`error: serve takes no arguments, and got ${word}`);
  const names = program.commands.map((command) => command.name());
  const near = nearest(word, names);
  verb.error(`error: unknown command '${word}'${near === undefined ? "" : `\n(Did you mean ${near}?)`}`);
}
