#pragma once

namespace dnc::serve {

/// From now on all threads share one of glibc's heaps. By itself each thread gets one of its own,
/// up to eight a core, and each keeps the most that it has ever needed: a server that explains
/// images in the threads of its clients would grow by that with every other client. Call it before
/// the threads; it leaves all as it is where MALLOC_ARENA_MAX is set.
void share_heaps();

}  // namespace dnc::serve
