#pragma once  // must exist; nothing of it is used
