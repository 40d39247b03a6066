/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Calls to secondaries that cannot call us (cli/session_back.c). They all share one link, which knows them by one number: the visitor's,
 * and in the low eight bits the session's own, of which it has no more than twice the addresses of a few offers.
 */
#include "cli/share_internal.h"

#define CALL_BITS 8
#define CALL_MASK ((1U << CALL_BITS) - 1)

static unsigned call_of(const struct visitor *visitor, unsigned attempt)
{
    return visitor->number << CALL_BITS | (attempt & CALL_MASK);
}

/* Whose call it is, if that session still runs. */
static struct visitor *caller_of(const struct share *share, unsigned call)
{
    for (struct visitor *visitor = share->visitors; visitor; visitor = visitor->next) {
        if (!visitor->over && call_of(visitor, call & CALL_MASK) == call)
            return visitor;
    }
    return NULL;
}

void sh_share_on_dial(const struct sh_attempt *attempt, void *user)
{
    struct visitor *visitor = user;
    struct sh_link *lan = visitor->share->edge.lan;
    struct sh_attempt call = *attempt;
    call.id = call_of(visitor, attempt->id);
    enum sh_cause cause = lan ? lan->driver->dial(lan, &call) : SH_LINK_UNREACHABLE;
    if (cause != SH_OK)
        sh_session_dial_failed(visitor->session, attempt->id, attempt->kind, cause, NULL);
}

void sh_share_on_cancel(unsigned attempt, void *user)
{
    struct visitor *visitor = user;
    struct sh_link *lan = visitor->share->edge.lan;
    if (lan)
        lan->driver->cancel(lan, call_of(visitor, attempt));
}

void sh_share_on_dialled(struct sh_link *link, unsigned call, struct sh_stream *stream, void *user)
{
    struct visitor *visitor = caller_of(user, call);
    if (visitor)
        sh_session_dialled(visitor->session, call & CALL_MASK, link->driver->kind, stream);
    else
        sh_stream_close(stream);
}

void sh_share_on_dial_failed(struct sh_link *link, unsigned call, enum sh_cause cause,
                             const struct sh_path_facts *facts, void *user)
{
    struct visitor *visitor = caller_of(user, call);
    if (visitor)
        sh_session_dial_failed(visitor->session, call & CALL_MASK, link->driver->kind, cause,
                               facts);
}
