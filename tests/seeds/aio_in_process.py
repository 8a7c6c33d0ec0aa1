import abstractcore
from abstractcore import aio
from abstractcore.models import HuggingFaceModel

sync_client = abstractcore.client(HuggingFaceModel.QWEN_3_8B) # loads weights once
async_client = aio.client(sync_client) # wraps; shares weights
