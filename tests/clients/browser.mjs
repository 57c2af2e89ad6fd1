// Opens a page in Chromium and prints a line of JSON five times a second: what its video elements do, the one that is
// furthest behind if there are several. Ends with its standard input.
//
//   browser.mjs FOLDER PAGE [CERTIFICATE KEY]    FOLDER has node_modules, PAGE is a file of HTML, which comes over https if
//                                                there is a certificate

import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [folder, page, certificate, key] = process.argv.slice(2);
const require = createRequire(join(folder, "package.json"));
const { chromium } = require("playwright-core");

// Chromium keeps pages of the local file system from servers, so that the page comes from one.
const files = { "/": [page, "text/html"], "/mpegts.js": [require.resolve("mpegts.js"), "text/javascript"] };
const answer = (request, response) => {
  const [file, type] = files[request.url] ?? [];
  if (!file) return response.writeHead(204).end();
  response.writeHead(200, { "Content-Type": `${type}; charset=utf-8` }).end(readFileSync(file));
};
const server = certificate
  ? createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) }, answer)
  : createServer(answer);
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Nobody in this machine's list of authorities has issued the certificates of a test.
    ...(certificate ? ["--ignore-certificate-errors"] : []),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
process.stdin
  .on("end", async () => {
    await browser.close();
    process.exit(0);
  })
  .resume();

const tab = await browser.newPage();
const faults = [];
tab.on("pageerror", (error) => faults.push(String(error)));
tab.on("console", (message) => message.type() === "error" && faults.push(message.text()));
await tab.goto(`${certificate ? "https" : "http"}://127.0.0.1:${server.address().port}/`);
const look = () => {
  const screens = [...document.querySelectorAll("video")].map((video) => {
    const { currentTime, videoWidth, videoHeight } = video;
    return { currentTime, videoWidth, videoHeight, frames: video.getVideoPlaybackQuality().totalVideoFrames };
  });
  return screens.reduce((behind, screen) => (screen.currentTime < behind.currentTime ? screen : behind));
};
for (;;) {
  // Nothing can be seen of a page that is being closed.
  const seen = await tab.evaluate(look).catch((error) => tab.isClosed() || Promise.reject(error));
  if (seen === true) break;
  console.log(JSON.stringify({ ...seen, faults }));
  await new Promise((later) => setTimeout(later, 200));
}
