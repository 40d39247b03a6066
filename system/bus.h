/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The system message bus (D-Bus specification 0.41, sd-bus) inside the libevent loop. Nothing here
 * blocks: the connection and its Hello are made while the loop runs, calls are answered by callback.
 *
 * sd-bus has no way to say "I want to be polled now", so whatever hands it a message goes through
 * sh_bus_call, or tells sh_bus_kick afterwards. In debug builds a handler that takes longer than
 * SH_SLOW_MS is logged (proto/slow.h).
 */
#ifndef SIMHOP_SYSTEM_BUS_H
#define SIMHOP_SYSTEM_BUS_H

#include <event2/event.h>
#include <systemd/sd-bus.h>

#include "proto/cause.h"

#define SH_BUS_CALL_MS                                                                             \
    5000 /* for one that names no limit of its own, and for the connection to be made */

struct sh_bus;

/* The bus closed the connection, or cannot be reached: once, from the loop; nothing works any more, all that is left is
 * sh_bus_free. */
typedef void (*sh_bus_lost_fn)(enum sh_cause cause, void *user);

/* Connects to the system bus, or to DBUS_SYSTEM_BUS_ADDRESS. Calls may be made at once and wait for
 * the connection. Fails with env.no-bus (no socket there), env.permission, env.no-memory. */
SH_MUST_USE enum sh_cause sh_bus_open(struct event_base *base, sh_bus_lost_fn lost, void *user,
                                      struct sh_bus **ret_bus);
/* NULL is fine. May be called from a handler; calls that wait for an answer are forgotten. */
void sh_bus_free(struct sh_bus *bus);

/* signalled gets every message that the rule (D-Bus specification, "Match Rules") fits, until ret_slot is unreferenced. A bus that
 * refuses the rule is logged; nothing is signalled then. One that does not answer within SH_BUS_CALL_MS counts as lost.
 * Fails with env.no-bus, env.no-memory. */
SH_MUST_USE enum sh_cause sh_bus_match(struct sh_bus *bus, const char *rule,
                                       sd_bus_message_handler_t signalled, void *user,
                                       sd_bus_slot **ret_slot);

/* For objects and messages; the bus keeps it. Use only the *_async functions on it. */
sd_bus *sh_bus_sd(struct sh_bus *bus);
/* The loop in which it lives. */
struct event_base *sh_bus_base(struct sh_bus *bus);

/* Sends a method call (the message stays the caller's). answered gets the reply, an error of the peer, or one that sd-bus
 * makes after limit_ms (0: SH_BUS_CALL_MS; counted from when the connection is made) or when the bus closes. Where the
 * connection is never made, only lost is called. ret_slot, if not NULL, is unreferenced to forget the call. Fails with
 * env.no-bus, env.no-memory. */
SH_MUST_USE enum sh_cause sh_bus_call(struct sh_bus *bus, sd_bus_message *message,
                                      sd_bus_message_handler_t answered, void *user,
                                      unsigned limit_ms, sd_bus_slot **ret_slot);
/* Is it the error that stands for no answer in time, rather than one of the peer? */
bool sh_bus_unanswered(sd_bus_message *answer);
/* Something was given to sh_bus_sd. */
void sh_bus_kick(struct sh_bus *bus);

#endif
