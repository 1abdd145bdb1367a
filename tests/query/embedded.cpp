// SPDX-License-Identifier: Apache-2.0
// A program with a structure in many places. It writes the address of each, and how its holder calls it ("*": that is the
// library's affair; "-": it stands for itself), then dumps core.
#include <any>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
struct slot { int id, key; slot *next; };
struct derived : slot { int more; };
struct couple { slot first, second; };
struct row { int before; couple couples[3]; slot *out; };
struct base { virtual ~base() {} slot in; };
struct virtually : virtual base { int x; };
struct table { int count; slot slots[]; };
struct world {
  slot direct; row rows[2]; std::optional<slot> full, none; std::variant<int, slot, double> chosen, other; std::any held, number;
  union { slot one; struct { int z, w; slot shifted; } inner; slot same; };
  std::vector<row> vector; std::vector<slot> slots; std::list<slot> list; std::map<int, slot> map; std::unordered_map<int, slot> hash;
  std::shared_ptr<slot> shared; std::deque<slot> deque; derived *heir; virtually *far; slot *own; table *open;
  world() : one{} {} ~world() {}
};
world global;
slot array[5];
static FILE *known;
static void tell(slot &s, const char *place) {
  static int count;
  s.id = 77;
  s.key = count++;
  fprintf(known, "%lx %s\n", (unsigned long)&s, place);
}
static void tell(row &r, const std::string &place) {
  for (int i = 0; i < 3; i++) {
    std::string couple = place + ".couples[" + std::to_string(i) + "]";
    tell(r.couples[i].first, (couple + ".first").c_str());
    tell(r.couples[i].second, (couple + ".second").c_str());
  }
}
int main() {
  known = fopen("known", "w");
  tell(global.direct, ".direct");
  tell(global.rows[0], ".rows[0]");
  tell(global.rows[1], ".rows[1]");
  global.full = slot{};
  tell(*global.full, "*");
  global.none = slot{77, 0, nullptr};
  global.none.reset(); // its bytes are still there
  global.chosen = slot{};
  tell(std::get<1>(global.chosen), "*");
  global.other = slot{77, 0, nullptr};
  global.other = 3;
  global.held = slot{};
  slot *held = std::any_cast<slot>(&global.held);
  tell(*held, (char *)held > (char *)&global && (char *)held < (char *)(&global + 1) ? "*" : "-");
  global.number = 77;
  tell(global.one, ".one");
  global.vector.resize(4);
  for (int i = 0; i < 4; i++) tell(global.vector[i], "[" + std::to_string(i) + "]");
  global.slots.reserve(10);
  memset((void *)global.slots.data(), 77, 10 * sizeof(slot)); // behind the last are none
  global.slots.resize(3);
  for (auto &s : global.slots) tell(s, "-");
  global.list.resize(3);
  for (auto &s : global.list) tell(s, "*");
  for (int i = 0; i < 3; i++) {
    tell(global.map[i], "*");
    tell(global.hash[i], "*");
  }
  global.shared = std::make_shared<slot>();
  tell(*global.shared, "*");
  global.deque.resize(50);
  for (auto &s : global.deque) tell(s, "-");
  tell(*(global.heir = new derived), "");
  tell((global.far = new virtually)->in, "->in");
  tell(*(global.own = new slot), "-");
  global.open = (table *)calloc(1, sizeof(table) + 6 * sizeof(slot) + 8);
  for (int i = 0; i < 6; i++) tell(global.open->slots[i], ("->slots[" + std::to_string(i) + "]").c_str());
  for (int i = 0; i < 5; i++) tell(array[i], ("[" + std::to_string(i) + "]").c_str());
  fclose(known);
  abort();
}
