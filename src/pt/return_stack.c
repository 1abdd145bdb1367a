// SPDX-License-Identifier: Apache-2.0
#include "pt/return_stack.h"

static void push(struct return_ring *ring, uint64_t address)
{
	ring->addresses[ring->top] = address;
	ring->top = (ring->top + 1) % RETURN_STACK_DEPTH;
	ring->count += ring->count < RETURN_STACK_DEPTH;
}

static bool is_top(const struct return_ring *ring, uint64_t address)
{
	unsigned newest = (ring->top + RETURN_STACK_DEPTH - 1) % RETURN_STACK_DEPTH;
	return ring->count && ring->addresses[newest] == address;
}

static void pop(struct return_ring *ring)
{
	if (!ring->count)
		return;
	ring->top = (ring->top + RETURN_STACK_DEPTH - 1) % RETURN_STACK_DEPTH;
	ring->count--;
}

void return_stack_clear(struct return_stack *stack)
{
	stack->always.count = stack->compressed.count = 0;
}

void return_stack_push(struct return_stack *stack, uint64_t address)
{
	push(&stack->always, address);
	push(&stack->compressed, address);
}

bool return_stack_return(struct return_stack *stack, uint64_t address)
{
	bool known = is_top(&stack->always, address) && is_top(&stack->compressed, address);
	pop(&stack->always);
	if (known)
		pop(&stack->compressed);
	return known;
}

void return_stack_skip(struct return_stack *stack)
{
	pop(&stack->always);
}
