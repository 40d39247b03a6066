/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/again.h"

#include "transfer/path.h"

/* What is in the way of one link is told as the cause when the last one goes, too: that one may come back. A program that hangs does
 * not, and is told at once. */
static bool is_lost(enum sh_cause cause)
{
    if (sh_path_is_verdict(cause))
        return cause != SH_LINK_PEER_HUNG;
    return cause == SH_CONNECT_LOST || cause == SH_TRANSFER_STALLED || cause == SH_LINK_NONE ||
           cause == SH_RECEIPT_TIMEOUT;
}

void sh_again_slept(struct sh_again *again, sh_ms slept, bool moving, sh_ms now)
{
    if (moving)
        again->woke = now;
    else if (again->until != SH_NEVER)
        again->until += slept;
}

bool sh_again_may_search(const struct sh_again *again, sh_ms now)
{
    return again->until != SH_NEVER && now < again->until;
}

enum sh_again_step sh_again_over(struct sh_again *again, enum sh_cause cause, bool brought,
                                 bool quitting, sh_ms now)
{
    bool by_sleep = again->woke != 0 && now < again->woke + SH_AGAIN_SLEPT_MS &&
                    sh_cause_info(cause)->category == SH_CAT_NO_LINK;
    again->woke = 0;
    if (quitting)
        return SH_AGAIN_NO;
    if (by_sleep || (brought && is_lost(cause))) {
        again->until = by_sleep ? SH_NEVER : now + SH_AGAIN_MS;
        again->cause = cause;
        if (!sh_strcopy(again->detail, sizeof(again->detail), sh_detail()))
            again->detail[0] = '\0';
        return by_sleep ? SH_AGAIN_BY_SLEEP : SH_AGAIN_BY_LOSS;
    }
    return is_lost(cause) && sh_again_may_search(again, now) ? SH_AGAIN_SEARCH_ON : SH_AGAIN_NO;
}

enum sh_cause sh_again_end(const struct sh_again *again, enum sh_cause cause)
{
    bool lost = again->until != SH_NEVER && sh_cause_info(cause)->category == SH_CAT_NO_LINK;
    return lost ? sh_fail(again->cause, "%s", again->detail) : cause;
}
