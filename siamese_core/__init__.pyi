from .config import CalibrationConfig as CalibrationConfig
from .config import EncoderConfig as EncoderConfig
from .config import EvaluationConfig as EvaluationConfig
from .config import ImageConfig as ImageConfig
from .config import PromotionConfig as PromotionConfig
from .config import SplitConfig as SplitConfig
from .config import TrainingConfig as TrainingConfig
from .config import TripletConfig as TripletConfig
from .config import ValidationConfig as ValidationConfig
from .data.dataset import Dataset as Dataset
from .data.read_dataset import read_dataset as read_dataset
from .errors import ConfigError as ConfigError
from .errors import DataError as DataError
from .errors import ModelError as ModelError
from .errors import SiameseError as SiameseError
from .errors import TrainingError as TrainingError
from .evaluation.evaluate import evaluate_verifier as evaluate_verifier
from .evaluation.held_out import HeldOut as HeldOut
from .evaluation.held_out import calibrate_encoder as calibrate_encoder
from .network.encoders import make_encoder as make_encoder
from .training.loop import train as train
from .training.recipe import Recipe as Recipe
from .triplets.offline import build_triplets as build_triplets
from .verifier import Verifier as Verifier

__version__: str
