// SPDX-License-Identifier: Apache-2.0
// Rust: structs, enums with data, slices, strings, boxes, closures, a panic that aborts.
use std::collections::HashMap;

#[derive(Debug, Clone)]
enum Shape { Circle(f64), Rect { w: u32, h: u32 }, Empty }
#[derive(Debug)]
struct User<'a> { id: u64, name: &'a str, tags: Vec<String>, boss: Option<Box<User<'a>>> }
struct Pair(i32, char);

#[inline(never)]
fn area(shape: &Shape, scale: f64) -> f64 {
    let result = match shape {
        Shape::Circle(r) => r * r * scale,
        Shape::Rect { w, h } => (*w as f64) * (*h as f64) * scale,
        Shape::Empty => std::process::abort(),
    };
    result + 1.0
}

#[inline(never)]
fn total(user: &User, shapes: &[Shape], limit: Option<u32>) -> f64 {
    let pair = Pair(-5, 'é');
    let tuple = (1u8, 2i16, true);
    let mut sum = 0.0;
    for (index, shape) in shapes.iter().enumerate() {
        let scale = index as f64 + pair.0 as f64;
        sum += area(shape, scale);
    }
    println!("{:?} {:?} {:?} {}", user, tuple, limit, pair.1);
    sum
}

fn main() {
    let boss = User { id: 1, name: "ann", tags: vec!["x".to_string()], boss: None };
    let user = User { id: 2, name: "bob", tags: vec![], boss: Some(Box::new(boss)) };
    // On an array of these gdb 13 ends in an internal error.
    let shapes = vec![Shape::Circle(1.5), Shape::Rect { w: 2, h: 3 }, Shape::Empty];
    let circle = Shape::Circle(2.5);
    println!("{:?}", circle);
    let mut map: HashMap<u32, &str> = HashMap::new();
    map.insert(3, "three");
    let none: Option<u32> = None;
    let add = |x: f64| x + map.len() as f64;
    println!("{}", add(total(&user, &shapes, none)));
}
