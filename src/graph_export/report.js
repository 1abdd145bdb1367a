// SPDX-License-Identifier: Apache-2.0
// The page of a heap report. All text of the target is put as text (textContent), never as markup.
'use strict';

const data = JSON.parse(document.getElementById('data').textContent);
const byId = id => document.getElementById(id);
// Columns of a row of the tree, as put_group() of report_data.c writes them.
const TREE_ROW = {parent: 0, name: 1, count: 2, self: 3, total: 4, kind: 5, leaked: 6, address: 7};
const KIND_GROUP = 1, KIND_BLOCK = 6;
const KINDS = ['root', 'group', 'thread', 'frame', 'variable', 'area', 'block', 'surrogate'];

// ---- Small things ----

/** An element with a class, a text, and children. */
function make(tag, className, text, ...children) {
  const element = document.createElement(tag);
  if (className)
    element.className = className;
  if (text !== undefined && text !== null)
    element.textContent = text;
  element.append(...children);
  return element;
}

const whole = new Intl.NumberFormat('en-US');
const count = number => whole.format(number);

/** Bytes as people read them: three digits and a unit. */
function size(bytes) {
  if (bytes < 1024)
    return bytes + ' B';
  let unit = -1;
  let value = bytes;
  while (value >= 1024 && unit < 5) {
    value /= 1024;
    unit++;
  }
  return (value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : value.toFixed(0)) + ' ' + 'KMGTPE'[unit] + 'iB';
}

function percent(part, all) {
  const share = all > 0 ? 100 * part / all : 0;
  return (share >= 10 ? share.toFixed(0) : share >= 0.1 ? share.toFixed(1) : share > 0 ? '< 0.1' : '0') + ' %';
}

const several = (number, one, many) => count(number) + ' ' + (number === 1 ? one : many);

function hue(name) {
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++)
    hash = Math.imul(hash ^ name.charCodeAt(i), 16777619);
  return (hash >>> 0) % 360;
}

// ---- The tree ----

function readTree() {
  const nodes = data.tree.map((row, index) => ({
    index, name: data.names[row[TREE_ROW.name]] || '(no name)', count: row[TREE_ROW.count], self: row[TREE_ROW.self],
    total: row[TREE_ROW.total], kind: row[TREE_ROW.kind], leaked: row[TREE_ROW.leaked] === 1,
    address: row[TREE_ROW.address] || null, parent: null, children: [], level: 0,
  }));
  for (let i = 1; i < nodes.length; i++) {
    nodes[i].parent = nodes[data.tree[i][TREE_ROW.parent]];
    nodes[i].level = nodes[i].parent.level + 1;
    nodes[i].parent.children.push(nodes[i]);
  }
  for (const node of nodes)
    node.children.sort((a, b) => b.total - a.total);
  return nodes;
}

const nodes = readTree();
const root = nodes[0];
const summary = data.summary;

/** From the root on, without it. */
function lineage(node) {
  const line = [];
  for (; node.parent; node = node.parent)
    line.unshift(node);
  return line;
}

// ---- Treemap ----

/** Worst ratio of sides of a row of areas. */
function worst(sum, least, most, side) {
  const square = side * side;
  return Math.max(square * most / (sum * sum), sum * sum / (square * least));
}

/** Divides a box among items by weight (Bruls, Huizing, van Wijk 2000: squarified). Calls place(item, x, y, w, h). */
function squarify(items, box, place) {
  let {x, y, w, h} = box;
  let weight = items.reduce((sum, item) => sum + item.weight, 0);
  let at = 0;
  while (at < items.length && w > 0 && h > 0 && weight > 0) {
    const scale = w * h / weight;
    const side = Math.min(w, h);
    let end = at, sum = 0, least = Infinity, most = 0, ratio = Infinity;
    while (end < items.length) {
      const area = items[end].weight * scale;
      const next = worst(sum + area, Math.min(least, area), Math.max(most, area), side);
      if (next > ratio)
        break;
      ratio = next;
      sum += area;
      least = Math.min(least, area);
      most = Math.max(most, area);
      end++;
    }
    const thick = sum / side;
    let along = 0;
    for (; at < end; at++) {
      const long = items[at].weight * scale / thick;
      if (w >= h)
        place(items[at], x, y + along, thick, long);
      else
        place(items[at], x + along, y, long, thick);
      along += long;
      weight -= items[at].weight;
    }
    if (w >= h) {
      x += thick;
      w -= thick;
    } else {
      y += thick;
      h -= thick;
    }
  }
}

/** What is in a node: its children, and what it is itself. */
function parts(node) {
  const items = node.children.filter(child => child.total > 0).map(child => ({node: child, weight: child.total}));
  if (items.length && node.self > 0)
    items.push({node, weight: node.self, self: true});
  return items.sort((a, b) => b.weight - a.weight);
}

const map = {box: byId('treemap'), at: root, cells: [], focus: 0, hits: null};
const HEADER = 19, LEAST_SIDE = 2.5, MAX_NESTED = 4;

function describe(item) {
  const node = item.node;
  const what = item.self ? node.name + ' itself' : node.name;
  const many = node.count > 1 ? ', ' + several(node.count, 'object', 'objects') : '';
  return what + many + ', ' + (item.self ? 'own size ' : 'retains ') + size(item.weight) + ', ' + percent(item.weight, root.total);
}

function paint(cell, item, x, y, w, h) {
  const node = item.node;
  const plain = node.kind < KIND_BLOCK || /^\((smaller|deeper|leaked)\)$/.test(node.name);
  cell.className = 'cell' + (plain ? ' plain' : node.name.startsWith('(') ? ' untyped' : '') + (node.leaked ? ' leaked' : '') + (item.self ? ' self' : '') +
    (!item.self && node.children.length ? ' more' : '');
  cell.style.left = x.toFixed(1) + 'px';
  cell.style.top = y.toFixed(1) + 'px';
  cell.style.width = w.toFixed(1) + 'px';
  cell.style.height = h.toFixed(1) + 'px';
  if (!plain)
    cell.style.setProperty('--hue', hue(node.name));
  if (map.hits && map.hits.has(node))
    cell.classList.add('hit');
  if (w > 34 && h > 16) {
    const name = make('span', 'name', item.self ? '(itself)' : node.name + ' ');
    if (!item.self && node.count > 1)
      name.append(make('small', '', '× ' + count(node.count) + ' '));
    name.append(make('small', '', ' ' + size(item.weight)));
    cell.append(name);
  }
}

function addCell(item, x, y, w, h) {
  if (w < LEAST_SIDE || h < LEAST_SIDE)
    return;
  const cell = make('div');
  const index = map.cells.length;
  paint(cell, item, x, y, w, h);
  cell.setAttribute('role', 'treeitem');
  cell.setAttribute('aria-level', String(item.node.level || 1));
  cell.setAttribute('aria-label', describe(item));
  if (!item.self && item.node.children.length)
    cell.setAttribute('aria-expanded', 'false');
  cell.tabIndex = -1;
  cell.title = describe(item);
  cell.addEventListener('click', () => { focusCell(index); enter(item); });
  cell.addEventListener('focus', () => { map.focus = index; rove(); showDetail(item); });
  cell.addEventListener('mouseenter', () => showDetail(item));
  map.cells.push({item, cell, x, y, w, h});
  map.box.append(cell);
  nest(cell, item, w, h);
}

/** What is inside a cell, and inside that, as far as there is room. */
function nest(outer, first, width, height) {
  const open = [{cell: outer, item: first, w: width, h: height, depth: 1}];
  while (open.length) {
    const {cell, item, w, h, depth} = open.pop();
    if (item.self || depth > MAX_NESTED || w < 40 || h < HEADER + 14)
      continue;
    squarify(parts(item.node), {x: 2, y: HEADER, w: w - 6, h: h - HEADER - 4}, (part, px, py, pw, ph) => {
      if (pw < LEAST_SIDE || ph < LEAST_SIDE)
        return;
      const inner = make('div');
      paint(inner, part, px, py, pw, ph);
      inner.setAttribute('aria-hidden', 'true');
      cell.append(inner);
      open.push({cell: inner, item: part, w: pw, h: ph, depth: depth + 1});
    });
  }
}

/** One cell at a time is in the order of the Tab key. */
function rove() {
  map.cells.forEach((one, index) => { one.cell.tabIndex = index === map.focus ? 0 : -1; });
}

function focusCell(index) {
  if (!map.cells[index])
    return;
  map.focus = index;
  rove();
  map.cells[index].cell.focus({preventScroll: true});
  map.box.scrollIntoView({block: 'nearest'});
}

function showTrail() {
  const trail = byId('trail');
  trail.replaceChildren();
  for (const node of [root, ...lineage(map.at)]) {
    if (trail.children.length)
      trail.append(make('span', '', '›'));
    const button = make('button', '', node === root ? 'All memory' : node.name);
    button.title = node.name;
    if (node === map.at)
      button.setAttribute('aria-current', 'location');
    button.addEventListener('click', () => go(node, null));
    trail.append(button);
  }
  trail.append(make('span', '', size(map.at.total)));
}

function showDetail(item) {
  const node = item.node, box = byId('detail');
  const facts = [several(node.count, 'object', 'objects'), 'own size ' + size(node.self), 'retains ' + size(node.total) +
    ' (' + percent(node.total, root.total) + ')', node.leaked ? 'leaked' : KINDS[node.kind]];
  if (node.address)
    facts.push('at ' + node.address);
  const line = make('div', '', null, make('b', '', node.name), ' — ' + facts.join(', '));
  const path = pathElement(lineage(node).map(one => one.name));
  box.replaceChildren(line, path);
}

function draw() {
  map.box.replaceChildren();
  map.cells = [];
  map.box.classList.toggle('searching', map.hits !== null);
  const items = parts(map.at);
  const box = {x: 0, y: 0, w: map.box.clientWidth, h: map.box.clientHeight};
  squarify(items, box, addCell);
  if (!items.length)
    map.box.append(make('p', 'empty', 'Nothing is held here.'));
  map.focus = 0;
  rove();
}

/** Shows what `node` holds; the focus goes to `from`, or to the first. */
function go(node, from) {
  map.at = node;
  draw();
  showTrail();
  const index = map.cells.findIndex(one => one.item.node === from && !one.item.self);
  focusCell(index < 0 ? 0 : index);
}

function enter(item) {
  if (!item.self && item.node.children.length)
    go(item.node, null);
}

function leave() {
  if (map.at.parent)
    go(map.at.parent, map.at);
}

const AHEAD = {
  ArrowLeft: (from, to) => from.x - (to.x + to.w), ArrowRight: (from, to) => to.x - (from.x + from.w),
  ArrowUp: (from, to) => from.y - (to.y + to.h), ArrowDown: (from, to) => to.y - (from.y + from.h),
};

/** The cell next to the one in focus, that way; -1 if there is none. */
function neighbour(key) {
  const from = map.cells[map.focus];
  const flat = key === 'ArrowLeft' || key === 'ArrowRight';
  let best = -1, least = Infinity;
  map.cells.forEach((to, index) => {
    const ahead = from ? AHEAD[key](from, to) : -1;
    if (index === map.focus || ahead < -1)
      return;
    const [a, b] = flat ? [from.y, from.y + from.h] : [from.x, from.x + from.w];
    const [c, d] = flat ? [to.y, to.y + to.h] : [to.x, to.x + to.w];
    const aside = Math.max(0, c - b + 1, a - d + 1);
    const cost = ahead + 4 * aside + Math.abs(c - a) / 1000;
    if (cost < least) {
      least = cost;
      best = index;
    }
  });
  return best;
}

map.box.addEventListener('keydown', event => {
  const one = map.cells[map.focus];
  if (event.altKey || event.ctrlKey || event.metaKey)
    return;
  if (AHEAD[event.key])
    focusCell(neighbour(event.key));
  else if ((event.key === 'Enter' || event.key === ' ') && one)
    enter(one.item);
  else if (event.key === 'Escape' || event.key === 'Backspace')
    leave();
  else if (event.key === 'Home')
    go(root, null);
  else
    return;
  event.preventDefault();
});

// ---- Tables ----

const tables = [];

/** Fills `cell` by a column's kind. */
function fillCell(cell, column, value, row) {
  if (column.kind === 'size' || column.kind === 'count') {
    cell.classList.add('right');
    cell.textContent = column.kind === 'size' ? size(value) : count(value);
    if (column.kind === 'size')
      cell.title = count(value) + ' bytes';
  } else {
    cell.textContent = value === null || value === undefined ? '' : value;
  }
  if (column.of) {
    cell.classList.add('share');
    const fill = make('span', 'fill');
    fill.style.width = Math.min(100, column.of > 0 ? 100 * value / column.of : 0).toFixed(2) + '%';
    cell.prepend(fill);
  }
  if (column.mono)
    cell.classList.add('mono');
}

function sortTable(table, index) {
  const column = table.columns[index];
  const number = column.kind === 'size' || column.kind === 'count';
  table.descending = table.sorted === index ? !table.descending : number;
  table.sorted = index;
  const sign = table.descending ? -1 : 1;
  const order = (a, b) => number ? a.row[column.key] - b.row[column.key]
    : String(a.row[column.key] || '').localeCompare(String(b.row[column.key] || ''));
  table.lines.sort((a, b) => sign * order(a, b) || a.number - b.number);
  table.heads.forEach((head, i) => {
    if (i === index)
      head.setAttribute('aria-sort', table.descending ? 'descending' : 'ascending');
    else
      head.removeAttribute('aria-sort');
  });
  table.body.append(...table.lines.map(line => line.element));
}

/** A table that is sorted by its heads; `sorted` is the column that it is sorted by already. */
function addTable(into, what, caption, columns, rows, sorted) {
  if (!rows.length)
    return into.append(make('p', 'empty', caption));
  const table = {what, columns, body: make('tbody'), heads: [], lines: [], sorted: -1, descending: false};
  const head = make('tr');
  columns.forEach((column, index) => {
    const cell = make('th', column.kind === 'size' || column.kind === 'count' ? 'right' : '');
    const button = make('button', '', column.title);
    cell.scope = 'col';
    button.addEventListener('click', () => sortTable(table, index));
    cell.append(button);
    head.append(cell);
    table.heads.push(cell);
  });
  rows.forEach((row, number) => {
    const element = make('tr');
    for (const column of columns) {
      const cell = make('td');
      fillCell(cell, column, row[column.key], row);
      element.append(cell);
    }
    table.lines.push({row, element, number, text: element.textContent.toLowerCase()});
    table.body.append(element);
  });
  if (sorted >= 0) {
    table.sorted = sorted;
    table.descending = true;
    table.heads[sorted].setAttribute('aria-sort', 'descending');
  }
  const element = make('table', '', null, make('caption', '', caption), make('thead', '', null, head), table.body);
  const scroll = make('div', 'scroll', null, element);
  scroll.tabIndex = 0;
  scroll.setAttribute('role', 'region');
  scroll.setAttribute('aria-label', what);
  into.append(scroll);
  tables.push(table);
}

// ---- Sections ----

/** A path, its last name brighter than what leads there. */
function pathElement(names) {
  const element = make('div', 'path');
  names.forEach((name, index) => element.append(index ? ' > ' : '', make(index === names.length - 1 ? 'em' : 'span', '', name)));
  return element;
}

/** A bar of parts: [class, bytes, name], with a legend. */
function addBar(into, bar, pieces) {
  const all = pieces.reduce((sum, piece) => sum + piece[1], 0);
  const legend = make('ul', 'legend');
  for (const [className, bytes, name] of pieces) {
    if (!bytes)
      continue;
    const part = make('div', className);
    part.style.flex = '0 0 ' + (100 * bytes / all).toFixed(3) + '%';
    part.title = name + ': ' + size(bytes);
    bar.append(part);
    legend.append(make('li', '', null, make('i', className), name + ' ', make('b', '', size(bytes)), ' ' + percent(bytes, all)));
  }
  bar.setAttribute('role', 'img');
  bar.setAttribute('aria-label', pieces.filter(piece => piece[1]).map(piece => piece[2] + ' ' + size(piece[1])).join(', '));
  into.append(legend);
}

function addNumber(value, what, bad) {
  byId('numbers').append(make('div', bad ? 'number bad' : 'number', null, make('b', '', value), make('span', '', what)));
}

function showOverview() {
  const name = data.title || data.name;
  document.title = name + ' — heap report';
  byId('title').textContent = name;
  const about = [data.command || data.target, data.pid ? 'process ' + data.pid : null,
    data.threads ? several(data.threads, 'thread', 'threads') : null, data.source,
    data.time_ms ? new Date(data.time_ms).toISOString().replace('T', ' ').slice(0, 19) + ' UTC' : null];
  byId('about').textContent = about.filter(Boolean).join(' · ');
  byId('footer').textContent = 'Made by strobe ' + data.version + '. This page is whole: it loads nothing, and sends nothing.';
  addBar(byId('overview'), byId('split'), [
    ['used', summary.precise_bytes, 'in use'],
    ['cached', Math.max(0, summary.reachable_bytes - summary.precise_bytes), 'in use, by guesses alone'],
    ['leak', summary.leaked_bytes, 'leaked'], ['free', summary.free_bytes, 'free'],
    ['books', summary.book_bytes, 'the allocator\u2019s own'], ['lost', summary.unexplained_bytes, 'unexplained'],
  ]);
  byId('overview').append(byId('numbers'));
  addNumber(size(summary.allocated_bytes), 'allocated, in ' + several(summary.allocated_blocks, 'block', 'blocks'));
  addNumber(size(summary.reachable_bytes), 'reached from ' + several(summary.roots, 'root', 'roots'));
  addNumber(size(summary.leaked_bytes), 'leaked, in ' + several(summary.leaked_blocks, 'block', 'blocks'), summary.leaked_bytes > 0);
  addNumber(size(summary.free_bytes), 'free, in ' + several(summary.free_blocks, 'block', 'blocks'));
  addNumber(count(summary.edges), 'references, ' + percent(summary.guessed_edges, summary.edges) + ' guessed');
  addNumber(percent(summary.typed_blocks, summary.typed_blocks + summary.untyped_blocks), 'of blocks have a known type');
  addNumber(count(summary.surrogates), 'references lead to what is not known', summary.surrogates > 0);
}

function showSuspects() {
  const list = byId('suspect-list');
  const title = {object: 'one object', type: 'many of a type', leak: 'leaked'};
  for (const suspect of data.suspects) {
    const card = make('article', 'suspect' + (suspect.kind === 'leak' ? ' leak-kind' : ''));
    const bar = make('div', 'bar'), fill = make('div', suspect.kind === 'leak' ? 'leak' : 'used');
    fill.style.flex = '0 0 ' + Math.min(100, 100 * suspect.share).toFixed(2) + '%';
    bar.append(fill);
    card.append(make('h3', '', null, make('span', 'tag', title[suspect.kind]), suspect.name || suspect.type || '(untyped)',
      ' — ' + size(suspect.retained) + ', ' + percent(suspect.share, 1)), bar, make('p', '', suspect.text));
    if (suspect.path)
      card.append(pathElement(suspect.path.split(' > ')));
    if (suspect.below)
      card.append(make('p', 'hint', 'It falls apart at:'), pathElement(suspect.below.split(' > ')));
    card.dataset.text = card.textContent.toLowerCase();
    list.append(card);
  }
  if (!data.suspects.length)
    list.append(make('p', 'empty', 'Nothing holds so much of the memory that it would be suspect.'));
}

function showTypes() {
  const left = data.type_count - data.types.length;
  addTable(byId('type-table'), 'types', several(data.type_count, 'type', 'types') + ' of allocated blocks' +
    (left > 0 ? '; the smallest ' + count(left) + ' are left out here' : ''), [
    {title: 'Type', key: 'type', mono: true}, {title: 'Blocks', key: 'count', kind: 'count'},
    {title: 'Size', key: 'size', kind: 'size', of: summary.allocated_bytes},
    {title: 'Retained', key: 'retained', kind: 'size', of: summary.allocated_bytes},
  ], data.types, 2);
}

function showLeaks() {
  const rows = data.leaks.map(leak => ({
    ...leak, name: leak.type || '(untyped' + (leak.pattern ? ': ' + leak.pattern : '') + ')',
    bytes: leak.least === leak.most ? count(leak.least) : count(leak.least) + ' – ' + count(leak.most),
    where: leak.addresses.join(' ') + (leak.blocks > leak.addresses.length ? ' …' : ''),
  }));
  byId('leak-note').textContent = rows.length ? 'Allocated blocks that nothing the program has leads to. ' +
    several(data.leaked_direct_blocks, 'block is', 'blocks are') + ' held by no other leaked block.' : '';
  addTable(byId('leak-table'), 'leaks', rows.length ? several(data.leak_count, 'group', 'groups') : 'Nothing has leaked.', [
    {title: 'Type', key: 'name', mono: true}, {title: 'Blocks', key: 'blocks', kind: 'count'},
    {title: 'Bytes each', key: 'bytes'}, {title: 'Size', key: 'size', kind: 'size', of: summary.leaked_bytes},
    {title: 'Held by no other', key: 'direct', kind: 'count'}, {title: 'They hold', key: 'held', kind: 'size'},
    {title: 'Where', key: 'where', mono: true},
  ], rows, -1);
}

function showDuplicates() {
  const into = byId('duplicate-tables');
  for (const [what, found] of [['strings', data.same_strings], ['blocks', data.same_blocks]]) {
    into.append(make('h3', '', what === 'strings' ? 'The same text' : 'The same content'));
    const rows = found.rows.map(row => ({
      ...row, shown: row.text === null ? row.type || '(untyped)' : row.text,
      where: row.addresses.join(' ') + (row.count > row.addresses.length ? ' …' : ''),
    }));
    addTable(into, 'the same ' + what, rows.length ? several(found.groups, 'content is', 'contents are') + ' there more than once: ' +
      size(found.wasted) + ' could be spared' : 'No ' + what + ' are there twice.', [
      {title: what === 'strings' ? 'Text' : 'Type', key: 'shown', mono: true}, {title: 'Times', key: 'count', kind: 'count'},
      {title: 'Bytes each', key: 'size', kind: 'size'}, {title: 'Could be spared', key: 'wasted', kind: 'size', of: found.wasted},
      {title: 'Where', key: 'where', mono: true},
    ], rows, 3);
  }
}

function addClasses(into, classes) {
  const most = Math.max(...classes);
  let first = classes.findIndex(bytes => bytes > 0), last = classes.length - 1;
  while (last >= 0 && !classes[last])
    last--;
  if (most <= 0)
    return;
  const box = make('div', 'classes');
  for (let i = first; i <= last; i++) {
    const bar = make('i'), column = make('div', '', null, bar, make('span', '', size(2 ** i).replace(/\.0+ /, ' ')));
    bar.style.height = (70 * classes[i] / most).toFixed(1) + '%';
    column.title = 'free blocks of ' + size(2 ** i) + ' to ' + size(2 ** (i + 1) - 1) + ': ' + size(classes[i]);
    box.append(column);
  }
  box.setAttribute('role', 'img');
  box.setAttribute('aria-label', 'free bytes by size of block, from ' + size(2 ** first) + ' to ' + size(2 ** last));
  into.append(make('p', 'hint', 'Free bytes by size of block:'), box);
}

function showArenas() {
  const into = byId('arena-list');
  const single = data.arenas.filter(arena => !arena.all).sort((a, b) => b.mapped - a.mapped);
  const all = data.arenas.find(arena => arena.all);
  const shown = single.length > 1 && all ? [all, ...single.slice(0, 8)] : single;
  for (const arena of shown) {
    const box = make('article', 'arena'), bar = make('div', 'bar');
    box.append(make('h3', '', arena.all ? 'All arenas' : (arena.allocator || '') + ' ' + (arena.name || '')), bar);
    addBar(box, bar, [['used', arena.allocated, 'allocated'], ['free', arena.free, 'free'], ['cached', arena.cached, 'free in thread caches'],
      ['fastbin', arena.fastbin, 'free in fast bins'], ['top', arena.top, 'never handed out'],
      ['books', arena.books, 'the allocator\u2019s own'], ['lost', arena.lost, 'lost: damaged']]);
    box.append(make('p', 'hint', 'The largest free piece is ' + size(arena.largest) + '; ' + percent(arena.fragmentation, 1) +
      ' of what is free lies in smaller ones.'));
    addClasses(box, arena.classes);
    into.append(box);
  }
  addTable(into, 'arenas', single.length ? several(single.length, 'arena', 'arenas') : 'No allocator was found.', [
    {title: 'Arena', key: 'label'}, {title: 'Mapped', key: 'mapped', kind: 'size'}, {title: 'Allocated', key: 'allocated', kind: 'size'},
    {title: 'Blocks', key: 'blocks', kind: 'count'}, {title: 'Free', key: 'free', kind: 'size'}, {title: 'Cached', key: 'cached', kind: 'size'},
    {title: 'Never handed out', key: 'top', kind: 'size'}, {title: 'Fragmentation', key: 'crumbs'},
  ], single.map(arena => ({...arena, label: (arena.allocator || '') + ' ' + (arena.name || ''), crumbs: percent(arena.fragmentation, 1)})), 1);
}

const REASONS = {
  unmapped: 'A typed pointer leads to where nothing is mapped: it dangles, or was never set.',
  'not captured': 'The memory was mapped, but is not in this snapshot.',
  freed: 'A typed pointer leads to a block that is free: it dangles.',
  implausible: 'What is there cannot be of the pointer\u2019s type: it is too small, or not aligned.',
  untyped: 'The type is nowhere described, so nothing is known of what it holds.',
  limit: 'It lies beyond a limit that was set.',
};

function showUnknown() {
  const into = byId('unknown-table');
  const rows = data.surrogates.filter(one => one.count > 0).map(one => ({...one, why: REASONS[one.reason] || ''}));
  addTable(into, 'surrogates', rows.length ? 'References that end in a surrogate' : 'Every reference leads to something.', [
    {title: 'Reason', key: 'reason'}, {title: 'References', key: 'count', kind: 'count'}, {title: 'What that means', key: 'why'},
  ], rows, -1);
  const facts = make('ul');
  const fact = (bytes, text) => bytes > 0 && facts.append(make('li', '', text));
  fact(summary.guessed_edges, count(summary.guessed_edges) + ' of ' + count(summary.edges) +
    ' references were found by looking at words that no type describes: they may be no references.');
  fact(summary.untyped_blocks, several(summary.untyped_blocks, 'block has', 'blocks have') + ' no known type.');
  fact(summary.unreadable_bytes, size(summary.unreadable_bytes) + ' of objects could not be read.');
  fact(summary.unexplained_bytes, size(summary.unexplained_bytes) + ' of the heap are in no block: its books are damaged there.');
  into.append(facts);
  addTable(into, 'damage', data.damage.length ? several(data.damage_total, 'place', 'places') + ' where the allocator\u2019s books are damaged'
    : 'The allocators\u2019 books are sound.', [
    {title: 'Where', key: 'address', mono: true}, {title: 'Lost', key: 'lost_bytes', kind: 'size'}, {title: 'What', key: 'what'},
  ], data.damage, -1);
}

function showSections() {
  const numbers = {suspects: data.suspects.length, types: data.type_count, leaks: data.leak_count};
  for (const section of document.querySelectorAll('main > section')) {
    const link = make('a', '', section.querySelector('h2').textContent);
    link.href = '#' + section.id;
    if (numbers[section.id] !== undefined)
      link.append(make('b', '', count(numbers[section.id])));
    byId('sections').append(link);
  }
}

// ---- Search ----

/** Those that match, and all above them; null when nothing is sought. */
function searchTree(text) {
  if (!text)
    return {hits: null, found: []};
  const found = nodes.filter(node => node.name.toLowerCase().includes(text) || node.address === text);
  const hits = new Set();
  for (let node of found)
    for (; node && !hits.has(node); node = node.parent)
      hits.add(node);
  return {hits, found};
}

function search() {
  const text = byId('search').value.trim().toLowerCase();
  const {hits, found} = searchTree(text);
  const said = [];
  map.hits = hits;
  draw();
  if (text)
    said.push(count(found.length) + ' in the map');
  for (const table of tables) {
    let shown = 0;
    for (const line of table.lines) {
      const hit = line.text.includes(text);
      line.element.classList.toggle('hidden', !hit);
      shown += hit ? 1 : 0;
    }
    if (text && shown)
      said.push(count(shown) + ' ' + table.what);
  }
  for (const card of document.querySelectorAll('.suspect'))
    card.classList.toggle('hidden', !card.dataset.text.includes(text));
  byId('found').textContent = said.join(', ');
  return found;
}

byId('search').addEventListener('input', search);
byId('search').addEventListener('keydown', event => {
  if (event.key === 'Escape') {
    byId('search').value = '';
    search();
  } else if (event.key === 'Enter') {
    const found = search().sort((a, b) => b.total - a.total)[0];
    if (found) {
      go(found.parent || root, found);
      map.box.scrollIntoView({block: 'center'});
    }
  } else {
    return;
  }
  event.preventDefault();
});
document.addEventListener('keydown', event => {
  if (event.key === '/' && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
    byId('search').focus();
    event.preventDefault();
  }
});

showOverview();
showSuspects();
showTypes();
showLeaks();
showDuplicates();
showArenas();
showUnknown();
showSections();
draw();
showTrail();
showDetail({node: root});
let resized = 0;
window.addEventListener('resize', () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(draw);
});
