// SPDX-License-Identifier: Apache-2.0
// Run in a page of DevTools' own origin: reads a heap snapshot with the code of its Memory panel. Returns the nodes as
// [id, self size, retained size, name, distance], and how many edges there are; of many nodes only every `step`th.
async (url, step) => {
  const worker = await import('/devtools/entrypoints/heap_snapshot_worker/heap_snapshot_worker.js');
  const dispatcher = new worker.HeapSnapshotWorkerDispatcher.HeapSnapshotWorkerDispatcher(() => {});
  const channel = new MessageChannel();
  const second = new worker.HeapSnapshot.SecondaryInitManager(channel.port2);
  const loader = new worker.HeapSnapshotLoader.HeapSnapshotLoader(dispatcher);
  const reader = (await fetch(url)).body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read())
    await loader.write(part.value);
  loader.close();
  const snapshot = await loader.buildSnapshot(channel.port1);
  const nodes = [], node = snapshot.rootNode();
  const fields = snapshot.nodeFieldCount;
  let edges = 0;
  for (let i = 0; i < snapshot.nodes.length; i += fields) {
    node.nodeIndex = i;
    edges += node.edgesCount();
    if (i / fields % step == 0)
      nodes.push([node.id(), node.selfSize(), node.retainedSize(), node.rawName(), node.distance()]);
  }
  const aggregates = Object.values(snapshot.aggregatesWithFilter(new (class { })())).map(a => [a.name, a.count, a.self, a.maxRet]);
  return {count: snapshot.nodes.length / fields, edges, total: snapshot.totalSize, nodes, aggregates, second: !!second};
}
