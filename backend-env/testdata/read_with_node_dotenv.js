// Reads every file of a directory with the npm package dotenv and prints what it got, as hexadecimal.
//
// usage: node read_with_node_dotenv.js DIRECTORY MODULE
// One line a file: its name, then `key=value` pairs.

const fs = require("fs");
const path = require("path");

const [directory, modulePath] = process.argv.slice(2);
const { parse } = require(modulePath);
const hexadecimal = (text) => "x" + Buffer.from(text, "utf8").toString("hex");

for (const name of fs.readdirSync(directory).sort()) {
  const values = parse(fs.readFileSync(path.join(directory, name)));
  const pairs = Object.entries(values).map(([key, value]) => hexadecimal(key) + "=" + hexadecimal(value));
  console.log([name, ...pairs].join(" "));
}
