// SPDX-License-Identifier: Apache-2.0
// A program that holds values in std::function, std::any and std::move_only_function. It writes `known` before it dumps core:
// "O ADDRESS TYPE", an object of that type, and "E FROM TO NAME", a reference: the first one's object has those and no others.
// Names end in "*" where only their beginning is told.
#include <any>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>
struct item { int number; item *peer; };
struct big { item *a, *b, *c, *d; };
struct callable { item *held; int operator()(int) const { return held->number; } };
// What moves it may throw: it is not held in place.
struct copied { item *held; copied(item *h) : held(h) {} copied(const copied &o) : held(o.held) {} int operator()(int) const { return held->number; } };
using function = std::function<int(int)>;
static int plain(int x) { return x; }
static int add(item *i, int x) { return x + i->number; }
struct world {
  function empty, cleared, code, lambda, reference, large, functor, thrower, bound, shared, nothing;
  std::any none, reset, number, pointer, several, text, inner;
  std::vector<function> rows;
};
static FILE *known;
static world *w;
static item *fresh() { static int count; return new item{count++, nullptr}; }
static void reference(const void *from, const void *to, const std::string &name) {
  fprintf(known, "E %lx %lx %s\n", (unsigned long)from, (unsigned long)to, name.c_str());
}
static void object(const void *at, const char *type) { fprintf(known, "O %lx %s\n", (unsigned long)at, type); }
template <class T> bool is_inside(const T &whole, const void *part) { return (char *)part >= (char *)&whole && (char *)part < (char *)(&whole + 1); }
// Where what is held in `whole`, which is in `from`, is told from: itself, or a block of its own.
template <class T> std::pair<const void *, std::string> holder(const void *from, const T &whole, const void *value, const std::string &name) {
  if (is_inside(whole, value)) return {from, name};
  reference(from, value, name);
  return {value, "-> "};
}
static std::string member(const std::pair<const void *, std::string> &of, const char *name) {
  return of.second == "-> " ? std::string("->") + name : of.second + "." + name;
}
template <class F> void keep(function &to, F f, const char *name, std::initializer_list<std::pair<const char *, const void *>> captured) {
  to = f;
  auto from = holder(w, to, to.target<F>(), std::string("->") + name + "[target]");
  for (auto &one : captured) reference(from.first, one.second, member(from, one.first));
}
template <class T> const void *keep(std::any &to, T value, const char *name) {
  to = value;
  const void *at = std::any_cast<T>(&to);
  return holder(w, to, at, std::string("->") + name + ".value").first;
}
#ifdef __cpp_lib_move_only_function
using mover = std::move_only_function<int(int)>;
struct moved { mover empty, cleared, code, lambda, large, unique; std::move_only_function<int(int) const> constant; std::move_only_function<int() noexcept> wrapped; };
moved *all; // found from here
static void keep_moved() {
  moved *m = new moved;
  item *i = fresh(), *j = fresh();
  m->cleared = [i](int x) { return x + i->number; };
  m->cleared = nullptr;
  m->code = plain;
  m->lambda = [i, j](int x) { return x + i->number + j->number; };
  m->constant = [i](int x) { return x + i->number; };
  big b{i, j, i, j};
  m->large = [b](int x) { return x + b.d->number; };
  std::unique_ptr<item> owned(j);
  m->unique = [owned = std::move(owned)](int x) { return x + owned->number; };
  m->wrapped = [value = std::any(i)]() noexcept { return value.has_value() ? 1 : 0; };
  all = m;
  object(all, "moved");
  reference(m, i, "->lambda[target].i");
  reference(m, j, "->lambda[target].j");
  reference(m, i, "->constant[target].i");
  reference(m, j, "->unique[target].owned.get()");
  reference(m, i, "->wrapped[target].value.value");
  const void *block = *(void **)&m->large;
  reference(m, block, "->large[target]");
  reference(block, i, "->b.a"); reference(block, j, "->b.b"); reference(block, i, "->b.c"); reference(block, j, "->b.d");
}
#endif
int main() {
  known = fopen("known", "w");
  w = new world;
  object(w, "world");
  item *i = fresh(), *j = fresh(), **slot = new item *(j);
  object(i, "item"); object(j, "item");
  keep(w->code, plain, "code", {});
  keep(w->lambda, [i](int x) { return x + i->number; }, "lambda", {{"i", i}});
  item *&by_reference = *slot;
  keep(w->reference, [&by_reference, i](int x) { return x + i->number + by_reference->number; }, "reference", {{"by_reference", slot}, {"i", i}});
  keep(w->functor, callable{i}, "functor", {{"held", i}});
  keep(w->thrower, copied{i}, "thrower", {{"held", i}});
  big b{i, j, i, j};
  keep(w->large, [b](int x) { return x + b.d->number; }, "large", {{"b.a", i}, {"b.b", j}, {"b.c", i}, {"b.d", j}});
  auto shared = std::make_shared<item>(item{7, nullptr});
  keep(w->shared, [shared](int x) { return x + shared->number; }, "shared", {{"shared.get()", shared.get()}, {"shared.control", shared.get()}});
  auto bound = std::bind(add, i, std::placeholders::_1);
  w->bound = bound;
  auto from = holder(w, w->bound, w->bound.target<decltype(bound)>(), "->bound[target]");
  reference(from.first, i, from.second == "-> " ? "->*" : from.second + ".*");
  keep(w->nothing, [](int x) { return x; }, "nothing", {});
  w->cleared = [i](int x) { return x + i->number; };
  w->cleared = nullptr; // what it held is still in its storage, and is nothing

  keep(w->number, 7, "number");
  reference(w, i, "->pointer.value");
  keep(w->pointer, i, "pointer");
  const void *at = keep(w->several, b, "several");
  reference(at, i, "->a"); reference(at, j, "->b"); reference(at, i, "->c"); reference(at, j, "->d");
  w->text = std::string("a text so long that it needs a block of its own");
  const std::string *text = std::any_cast<std::string>(&w->text);
  from = holder(w, w->text, text, "->text.value");
  reference(from.first, text->data(), member(from, "text"));
  w->inner = function([j](int x) { return x + j->number; });
  function *inner = std::any_cast<function>(&w->inner);
  reference(w, inner, "->inner.value");
  reference(inner, j, "[target].j");
  w->reset = i;
  w->reset.reset();

  w->rows.resize(3);
  w->rows[1] = [j](int x) { return x + j->number; };
  reference(w, w->rows.data(), "->rows[]");
  reference(w->rows.data(), j, "[1][target].j");
#ifdef __cpp_lib_move_only_function
  keep_moved();
#endif
  fclose(known);
  abort();
}
