// SPDX-License-Identifier: Apache-2.0
// A program with one of each container. It writes `known` before it dumps core: ADDRESS P|G TYPE, where an object of that type
// must be reached, P without a guess, G with one; "*" where only that counts.
#define NODE "NODE "
#include <any>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <variant>
#include <vector>
struct item { int number; item *peer; };
struct shape { virtual ~shape() {} item *owner = nullptr; };
struct circle : shape { item *centre = nullptr; };
using name_t = std::string;
struct world {
  std::vector<item> items; std::vector<item *> pointers; std::vector<std::vector<item *>> rows; std::vector<bool> bits;
  std::vector<name_t> words; name_t shorty, longy; std::list<item> list; std::list<item *> empty; std::forward_list<item *> forward;
  std::map<int, item> map; std::map<name_t, std::unique_ptr<item>> named; std::multiset<item *> set; std::set<int> none;
  std::unordered_map<int, item *> table; std::unordered_map<name_t, item> texts; std::unordered_set<item *> marks;
  std::unordered_map<int, int> unused; std::deque<item> deque; std::queue<item *> queue; std::priority_queue<item *> heap;
  std::shared_ptr<item> shared; std::shared_ptr<shape> figure; std::weak_ptr<item> weak; std::unique_ptr<shape> own;
  std::unique_ptr<item[]> several; std::optional<item *> full, nothing; std::optional<name_t> text;
  std::variant<int, item *, name_t, std::vector<item *>> number, pointer, string, vector; std::pair<item *, name_t> pair;
  std::tuple<int, item *> tuple; std::function<int()> function; std::any any;
};
static FILE *known;
static void expect(const void *at, char how, const char *type) { fprintf(known, "%lx %c %s\n", (unsigned long)at, how, type); }
static int count;
static item *fresh(char how = 'P') { item *i = new item{count++, nullptr}; expect(i, how, "item"); return i; }
static name_t text(int i) { return "a text so long that it needs a block of its own, number " + std::to_string(i); }
static world *w;
int main() {
  known = fopen("known", "w");
  w = new world; expect(w, 'P', "world");
  w->items.reserve(50); w->pointers.reserve(9);
  for (int i = 0; i < 7; i++) {
    w->items.push_back({i, fresh()}); w->pointers.push_back(fresh()); w->bits.push_back(i & 1); w->words.push_back(text(i));
    w->rows.push_back({fresh(), fresh()}); w->list.push_back({i, fresh()}); w->forward.push_front(fresh()); w->map[i] = {i, fresh()};
    w->named[text(i)] = std::unique_ptr<item>(fresh()); w->set.insert(fresh()); w->table[i] = fresh(); w->texts[text(i)] = {i, fresh()};
    w->marks.insert(fresh()); w->queue.push(fresh()); w->heap.push(fresh());
  }
  for (int i = 0; i < 150; i++) w->deque.push_back({i, nullptr});
  for (int i = 0; i < 70; i++) w->deque.pop_front();
  for (item &i : w->deque) i.peer = fresh();
  for (int i = 0; i < 200; i++) { w->queue.push(w->queue.front()); w->queue.pop(); }
  w->shorty = "short"; w->longy = text(100); w->shared = std::make_shared<item>(item{1, fresh()}); w->weak = w->shared;
  circle *c = new circle; c->owner = fresh(); c->centre = fresh(); expect(c, 'P', "circle"); w->figure.reset(c);
  c = new circle; c->owner = fresh(); c->centre = fresh(); expect(c, 'P', "circle"); w->own.reset(c);
  w->several.reset(new item[3]{{1, fresh()}, {2, fresh()}, {3, fresh()}}); expect(w->several.get(), 'P', "item [3]");
  w->full = fresh(); w->text = text(101); w->number = 7; w->pointer = fresh(); w->string = text(102);
  w->vector = std::vector<item *>{fresh(), fresh()}; w->pair = {fresh(), text(103)}; std::get<1>(w->tuple) = fresh();
  item *captured = fresh(); w->function = [captured] { return captured->number; }; w->any = fresh();
  expect(w->items.data(), 'P', "item [7]"); expect(w->pointers.data(), 'P', "item * [7]");
  expect(w->longy.data(), 'P', "*"); expect(w->text->data(), 'P', "*"); expect(std::get<2>(w->string).data(), 'P', "*");
  expect(w->pair.second.data(), 'P', "*");
  for (auto &i : w->words) expect(i.data(), 'P', "*");
  for (auto &i : w->rows) expect(i.data(), 'P', "item * [2]");
  for (auto &i : w->list) expect(&i, 'P', NODE "list");
  for (auto &i : w->forward) expect(&i, 'P', "*");
  for (auto &i : w->map) expect(&i, 'P', NODE "map");
  for (auto &i : w->named) { expect(&i, 'P', NODE "map"); expect(i.first.data(), 'P', "*"); }
  for (auto &i : w->set) expect(&i, 'P', NODE "map");
  for (auto &i : w->table) expect(&i, 'P', NODE "hash");
  for (auto &i : w->texts) { expect(&i, 'P', NODE "hash"); expect(i.first.data(), 'P', "*"); }
  for (auto &i : w->marks) expect(&i, 'P', NODE "hash");
  for (auto &i : w->deque) expect(&i, 'P', "*");
  fclose(known);
  abort();
}
