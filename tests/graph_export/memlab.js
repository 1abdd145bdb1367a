// SPDX-License-Identifier: Apache-2.0
// What memlab makes of heap snapshots: a line of JSON a file, [id, self size, retained size, name] of each node.
const {getFullHeapFromFile} = require('@memlab/heap-analysis');

async function main() {
  for (const file of process.argv.slice(2)) {
    const heap = await getFullHeapFromFile(file);
    const nodes = [];
    heap.nodes.forEach(node => { nodes.push([node.id, node.self_size, node.retainedSize, node.name]); });
    process.stdout.write('\n' + JSON.stringify({file, nodes}) + '\n');
  }
}
main();
