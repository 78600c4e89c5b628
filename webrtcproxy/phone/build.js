// Builds dist/: one script, one style sheet, the page, its icon and the licences of what the script contains.

import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const bundled = ["jssip", "debug", "events", "ms", "sdp-transform"];
const licenceNames = ["LICENSE", "LICENSE.md", "license.md"];

function licenceOf(name) {
  for (const file of licenceNames) {
    try {
      return `${name}\n\n${readFileSync(`node_modules/${name}/${file}`, "utf8").trim()}\n`;
    } catch (error) {
      if (error.code !== "ENOENT") throw error;
    }
  }
  throw new Error(`${name} comes without a licence file`);
}

const { metafile } = await build({
  entryPoints: { phone: "src/main.js" },
  bundle: true,
  minify: true,
  metafile: true,
  format: "iife",
  target: ["chrome90", "firefox90", "safari15"],
  legalComments: "none",
  outdir: "build",
});
const foreign = Object.keys(metafile.inputs)
  .filter((path) => path.startsWith("node_modules/"))
  .map((path) => path.split("/")[1]);
const unknown = foreign.filter((name) => !bundled.includes(name));
if (unknown.length > 0) throw new Error(`bundled without its licence: ${unknown[0]}`);
await build({
  entryPoints: { phone: "src/phone.css" },
  bundle: true,
  minify: true,
  target: ["chrome90", "firefox90", "safari15"],
  outdir: "build",
});

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist");
for (const file of ["phone.js", "phone.css"]) copyFileSync(`build/${file}`, `dist/${file}`);
for (const file of ["index.html", "phone.svg"]) copyFileSync(`src/${file}`, `dist/${file}`);
writeFileSync("dist/LICENSES.txt", bundled.map(licenceOf).join("\n" + "-".repeat(72) + "\n\n"));
rmSync("build", { recursive: true, force: true });
