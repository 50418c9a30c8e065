/*
 * role.h - which thread may do what, said to the compiler.
 *
 * A role is a lock nobody takes: it only exists while clang reads the code
 * (-Wthread-safety). gcc sees nothing. A thread enters its role once, at the top of
 * its main function; a callee that needs the role says so in its declaration.
 */
#pragma once

#if defined(__clang__)
#define ROLE_ATTR(x) __attribute__((x))
#else
#define ROLE_ATTR(x)
#endif

struct ROLE_ATTR(capability("role")) role {
	char unused;
};

extern struct role worker_role, control_role;

#define WORKER_ONLY ROLE_ATTR(requires_capability(worker_role))
#define CONTROL_ONLY ROLE_ATTR(requires_capability(control_role))
#define OWNED_BY_WORKER ROLE_ATTR(guarded_by(worker_role))

static inline void role_enter_worker(void) ROLE_ATTR(assert_capability(worker_role));
static inline void role_enter_worker(void)
{
}

static inline void role_enter_control(void) ROLE_ATTR(assert_capability(control_role));
static inline void role_enter_control(void)
{
}
