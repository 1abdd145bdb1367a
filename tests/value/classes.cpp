// SPDX-License-Identifier: Apache-2.0
// Classes, references and templates, and a crash among them.
#include <string>
#include <vector>
#include <map>
#include <memory>
#include <cstdlib>
struct Base { int b = 1; virtual ~Base() {} virtual int f(int) { return 1; } static int count; };
int Base::count = 17;
struct Mid1 : virtual Base { int m1 = 2; };
struct Mid2 : virtual Base { int m2 = 3; };
struct Diamond : Mid1, Mid2 { int d = 4; int f(int x) override { int loc = x; if (x) abort(); return d + loc; } };
struct Plain { int a = 1; char c = 'x'; static const int k = 3; bool ok = true; };
struct Derived : Plain { double z = 2.5; };
struct EmptyB {}; struct DE : EmptyB { int q = 7; };
namespace ns { struct In { int v = 9; In* next = nullptr; enum class E { One, Two } e = E::Two; }; int nsvar = 33; template <class T> struct Tmpl { T t; }; }
enum class Big : unsigned char { A = 1, B = 200 };
struct Self { static Self inst; int v; }; Self Self::inst = {5};
int Derived_func(const Derived& r, Derived&& rr, int Plain::*pm, int (Base::*pf)(int)) {
  int local = 5; int& lref = local; const std::string str = "hello"; std::vector<int> vec{1,2,3}; ns::In in; ns::Tmpl<int> ti{4}; Big big = Big::B; DE de; Diamond dia; Base* bp = &dia; Self self{1};
  auto lam = [&](int x){ return x + local; }; std::unique_ptr<int> up(new int(3)); bool t = true; char16_t c16 = u'x'; wchar_t wc = L'y'; int* np = nullptr; std::map<int,int> mp{{1,2}}; Plain arr[2]; 
  void (*fp)() = nullptr; (void)fp; long double ld = 1.1L; signed char sc = 'a'; std::nullptr_t nul = nullptr; (void)nul;
  for (int i : vec) { if (i == 2) return bp->f(lam(i)); }
  return lref + r.a + rr.a + (pm != nullptr) + (pf != nullptr);
}
int main() { Derived d; return Derived_func(d, Derived(), &Plain::a, &Base::f); }
